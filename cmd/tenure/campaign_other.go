//go:build !unix

package main

import (
	"context"
	"errors"
)

func (f *campaignFlags) run(context.Context, string) error {
	return errors.New("tenure campaign needs process groups, which this system does not have")
}
