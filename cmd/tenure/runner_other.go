//go:build !unix

package main

import (
	"context"
	"errors"
)

func run(context.Context, runFlags, string, []string) (int, error) {
	return exitRunFailed, errors.New("tenure run needs process groups, which this system does not have")
}
