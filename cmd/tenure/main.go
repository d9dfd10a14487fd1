// Command tenure runs programs, and answers questions, on the strength of a
// leader election. Run "tenure help".
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/tenure-go/tenure/cmd/tenure/internal/guard"
	"github.com/tenure-go/tenure/cmd/tenure/internal/reaper"
)

// guardArg makes this program the guard process of a "tenure run".
const guardArg = "__guard"

func main() {
	switch {
	case reaper.Needed():
		os.Exit(reaper.Main())
	case len(os.Args) == 2 && os.Args[1] == guardArg:
		os.Exit(guard.Main()) // before anything that takes time
	}
	os.Exit(execute(context.Background(), os.Args[1:]))
}

// execute runs one command line and returns its exit code.
func execute(ctx context.Context, args []string) int {
	root := newRoot()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	code := exitFailed
	if exit, ok := errors.AsType[*exitError](err); ok {
		code, err = exit.code, exit.err
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tenure:", err)
	}
	return code
}
