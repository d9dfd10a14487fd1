//go:build unix

package main

import (
	"fmt"
	"os"
)

// teller tells on standard error what happens to the member.
type teller struct {
	election    string
	json, quiet bool
}

func (t teller) tell(event, format string, args ...any) {
	if t.quiet {
		return
	}
	text := fmt.Sprintf(format, args...)
	if t.json {
		line := struct {
			Event    string `json:"event"`
			Election string `json:"election"`
			Message  string `json:"message"`
		}{event, t.election, text}
		_ = printJSON(os.Stderr, line) // there is nobody left to tell
		return
	}
	fmt.Fprintf(os.Stderr, "tenure: %s: %s\n", plain(t.election), text)
}
