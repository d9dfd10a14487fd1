//go:build unix

package cluster_test

import (
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/cluster"
	"github.com/tenure-go/tenure/store/memstore"
)

// 3.9: three idle nodes take less than a hundredth of a core each. The time is virtual and
// the CPU real, so that a busy machine changes nothing: an hour of a hundredth of a core
// is 36 s. It runs alone: what others use would count, too.
func TestAnIdleNodeTakesLessThanAHundredthOfACore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lab{t: t, st: memstore.New()}
		t.Cleanup(func() { l.ok(l.st.Close()) })
		for _, id := range []string{"a", "b", "c"} {
			l.start(id, cluster.Options{}).put("k", "v")
		}
		l.pass(tenure.DefaultTTL)
		before := cpu(t)
		l.pass(time.Hour)
		used := (cpu(t) - before) / 3
		t.Logf("%v of CPU in an hour: %.4f %% of a core", used, 100*used.Hours())
		if used > 36*time.Second {
			t.Error("that is too much")
		}
	})
}

// cpu is the time that this process has used.
func cpu(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
