package main

import "testing"

// Ctrl-C and the end of the terminal reach the campaign alone, which runs its hooks and
// hands over.
func TestATerminalEndsACampaign(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"Ctrl-C", "closed"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p, keys := w.onTerminal(t, "campaign", "n", "--id", "a",
				"--on-elected", `trap 'echo interrupted >>hooks' INT HUP; `+noted+`; while ! [ -e go ]; do sleep 0.01; done`, "--on-lost", noted)
			w.awaitHooks("elected")
			if how == "Ctrl-C" {
				w.write("go", "") // the hook ends as it wants to
				types(t, keys, "\x03")
			} else if err := keys.Close(); err != nil {
				t.Fatal(err)
			}
			p.expect(0)
			w.awaitHooks("lost")
			w.expectPairs()
			w.expectEmpty()
		})
	}
}
