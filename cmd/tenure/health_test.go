//go:build unix

package main

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// healthTTL lets a check take what a busy machine makes it take: a third.
const healthTTL = "3s"

// healthy is a health command that looks at a file.
var healthy = []string{"--ttl", healthTTL, "--health-cmd", `[ ! -e "sick-$TENURE_MEMBER" ] || { echo checking; echo "it is sick" >&2; false; }`}

func TestUnhealthyLeaderHandsOverAndWaitsUntilItIsWell(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	args := append(append([]string{"n"}, healthy...), "--", "sh", "-c", orderly)
	a := w.lead("a", args...)
	a.stdout.await(a, "works")
	b := w.member("b", args...)
	w.write("sick-a", "")
	b.stdout.await(b, "works")
	a.stderr.await(a, "health check: exit code 1: it is sick")
	a.stderr.await(a, "given up: tenure: unhealthy")
	a.stderr.await(a, "command ended with exit code 6; waiting to lead again") // it was told, not killed
	// The only one that waits takes no seat.
	w.do("drain", "b", "--yes").expect(0)
	b.stderr.await(b, "command ended with exit code 6; waiting to lead again")
	eventually(t, "nobody leads", func() bool { return w.do("leader", "n").wait() == exitNobody })
	w.remove("sick-a")
	a.stdout.awaitTimes(a, "works", 2)
}

// Nobody is elected before it was seen to be fit to lead.
func TestMemberThatIsNotHealthyYetDoesNotCampaign(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write("sick-a", "")
	a := w.start(append(append([]string{"run", "n", "--id", "a"}, healthy...), forever...)...)
	a.stderr.await(a, "a waits for its health command to succeed")
	a.stderr.await(a, "health check: exit code 1: it is sick")
	if count(a, "elected") > 0 {
		t.Error("it was elected")
	}
	w.remove("sick-a")
	a.stdout.await(a, "works")
	a.signal(syscall.SIGTERM)
	a.expect(128 + 15)
	w.expectEmpty()
}

func TestWaitTimeoutOfAMemberThatIsNeverHealthy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.do("run", "n", "--health-cmd", "false", "--wait-timeout", "1s", "--", "true")
	p.expect(exitRunTimeout).expectSays("not elected within 1s")
	w.expectEmpty()
}

// A check that hangs has failed. Everything that it has started is killed at its time-out.
func TestHealthCommandThatHangsIsKilledAndCounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const hangs = `if [ -e hang ]; then echo x >>hung; trap "" TERM; sleep 1000 & echo waiting for it; sleep 1000; fi`
	args := []string{"n", "--ttl", healthTTL, "--health-grace", "1s", "--health-cmd", hangs}
	a := w.lead("a", append(args, forever...)...)
	a.stdout.await(a, "works")
	b := w.member("b", append([]string{"n"}, forever...)...)
	w.write("hang", "")
	b.stdout.await(b, "works")
	a.stderr.await(a, "health check: has not ended in time, and was killed: waiting for it")
	eventually(t, "another check", func() bool { return strings.Count(w.read("hung"), "x") > 1 })
	a.signal(syscall.SIGTERM)
	a.expect(128 + 15) // with a check under way, most often
	b.signal(syscall.SIGTERM)
	b.expect(128 + 15)
	w.expectEmpty()
}

func TestHealthCommandEndsWithARunThatIsKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.start("run", "n", "--ttl", "10m", "--health-cmd", `trap "" TERM HUP; sleep 1000 & touch hangs; sleep 1000`, "--", "true")
	eventually(t, "a check", func() bool { return strings.Contains(fmt.Sprint(w.files()), "hangs") })
	p.signal(syscall.SIGKILL)
	p.wait()
	w.expectNoProcess()
}

// A failure that is shorter than the grace ends nothing, however long that is.
func TestHealthGraceIsForHowLongACheckMayFail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.lead("a", append([]string{"n", "--ttl", "1s", "--health-grace", "1h", "--health-cmd", "if [ -e sick ]; then echo x >>checks; false; fi"}, forever...)...)
	a.stdout.await(a, "works")
	w.write("sick", "")
	w.awaitFile("checks")
	eventually(t, "checks for two TTLs", func() bool { return strings.Count(w.read("checks"), "x") >= 7 })
	if count(a, "given up") > 0 {
		t.Errorf("it leads no longer:\n%s", a.stderr.String())
	}
	a.signal(syscall.SIGTERM)
	a.expect(128 + 15)
	w.expectEmpty()
}

func TestHealthCommandDoesNotReadWhatIsTheCommands(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.command("run", "-q", "n", "--health-cmd", "cat >>stolen", "--", "cat")
	p.cmd.Stdin = strings.NewReader("from outside\n")
	p.begin().expect(0).says("from outside\n")
	if got := w.read("stolen"); got != "" {
		t.Errorf("it has read %q", got)
	}
}

// It finds what CMD finds; the token while this member leads.
func TestHealthCommandKnowsWhereItStands(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.command(append([]string{"run", "n", "--id", "a", "--ttl", "3s", "--endpoint", "10.0.0.1:80", "--health-cmd",
		`echo "$TENURE_ELECTION $TENURE_MEMBER $TENURE_ENDPOINT $TENURE_STORE ${TENURE_TOKEN-none}" >>seen`}, forever...)...)
	p.setenv("TENURE_TOKEN=another's").begin()
	p.stdout.await(p, "works")
	for _, token := range []string{"none", fmt.Sprint(w.token("n"))} {
		want := fmt.Sprintf("n a 10.0.0.1:80 %s %s\n", w.store, token)
		eventually(t, want, func() bool { return strings.Contains(w.read("seen"), want) })
	}
}
