package guard

import (
	"math"
	"testing"
	"time"
)

func TestDeadlineAt(t *testing.T) {
	before := bootNow()
	until := time.Now().Add(time.Minute)
	d := DeadlineAt(until)
	if d.Wall != until.UnixNano() {
		t.Errorf("wall %d, want %d", d.Wall, until.UnixNano())
	}
	if late := d.Boot - before - int64(time.Minute); late > int64(time.Second) || late < -int64(time.Second) {
		t.Errorf("boot clock off by %v", time.Duration(late))
	}
	if d.passed() || !DeadlineAt(time.Now()).passed() {
		t.Error("passed and not passed confused")
	}
}

func TestEitherClockEndsIt(t *testing.T) {
	far := DeadlineAt(time.Now().Add(time.Hour))
	for _, d := range []Deadline{{Boot: 1, Wall: far.Wall}, {Boot: far.Boot, Wall: 1}, {}} {
		if !d.passed() {
			t.Errorf("%+v has not passed", d)
		}
	}
}

func TestFarFutureStaysFar(t *testing.T) {
	d := DeadlineAt(time.Unix(1<<40, 0))
	if d.passed() || d.Wall != math.MaxInt64 {
		t.Errorf("%+v", d)
	}
}
