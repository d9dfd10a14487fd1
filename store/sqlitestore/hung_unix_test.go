//go:build unix

package sqlitestore

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// A process whose main goroutine hangs, and whose renewals go on, is deposed: the next
// leads within its TTL and a margin, and never before it has stopped.
func TestAHungProcessIsDeposed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		id     string
		paused bool // the client that deposes, between its read and its write
	}{
		"it hears of it":               {id: "hung"},
		"its watches are stalled":      {id: "deaf"},
		"by a client that is paused":   {id: "hung", paused: true},
		"by a paused one, and is deaf": {id: "deaf", paused: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFile(t)
			s := f.open(t, Options{})
			victim, successor := f.start(t, "lead"), f.start(t, "lead")
			victim.tell(c.id)
			victim.expect("elected")
			held := victim.holds()
			successor.tell("next")
			successor.expect("joined")
			time.Sleep(3 * hungTTL / 2) // for as long as renewals are needed

			client := f.start(t, "depose")
			client.expect("has read")
			if c.paused {
				if err := client.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
					t.Fatal(err)
				}
				time.Sleep(hungTTL) // the length of the pause
				if err := client.cmd.Process.Signal(syscall.SIGCONT); err != nil {
					t.Fatal(err)
				}
			}
			began := s.clock.now()
			if err := client.expect("deposed"); !strings.HasSuffix(err, "<nil>") {
				t.Fatalf("deposed: %s", err)
			}
			successor.expect("held")
			first := successor.moment()
			last := <-held
			t.Logf("the victim stopped %v after the deposition, the next began %v after it", last-began, first-began)
			if first < last {
				t.Errorf("two led at once, for %v", last-first)
			}
			if took := first - began; took < hungTTL || took > hungTTL+hungTTL/10+late {
				t.Errorf("the next leads %v after the deposition; the TTL is %v", took, hungTTL)
			}
		})
	}
}
