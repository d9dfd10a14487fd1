//go:build !unix

// Command chaos needs a Unix.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "chaos: this system has no SIGSTOP; run it on a Unix")
	os.Exit(1)
}
