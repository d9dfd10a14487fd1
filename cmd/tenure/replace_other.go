//go:build !unix

package main

import "errors"

func replaceFile(string, []byte) error {
	return errors.New("this system cannot replace a file at once, so that its readers find it whole")
}
