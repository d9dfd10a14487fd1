//go:build unix

package guard

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"
)

func FuzzCommandsRead(f *testing.F) {
	for _, line := range []string{
		`{"op":"run","run":{"args":["c2g="],"env":["QT1i"],"dir":"Lw==","foreground":true},"until":{"boot":1,"wall":2}}`,
		`{"op":"extend","until":{"boot":9223372036854775807,"wall":-9223372036854775808}}`,
		`{"op":"signal","signal":15}`, `{"op":"stop","grace":10000000000}`, `{"op":"stop"} {"op":"stop"}`,
		`{"op":"run","run":{"args":[]},"until":null}`, `{"op":"signal","signal":65}`, `{"op":"x"}`, `{"no":1}`, `null`, "",
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		got, err := decodeCommand(line)
		if err != nil {
			return
		}
		written := encode(got)
		if again, err := decodeCommand(written); err != nil || !bytes.Equal(encode(again), written) {
			t.Errorf("%q was read as %s, and that as %s, %v", line, written, encode(again), err)
		}
		if d := got.Until; d != nil && (d.Boot < bootNow() || d.Wall < time.Now().UnixNano()) && !d.passed() {
			t.Errorf("%+v has passed, and has %v to go", d, d.remaining())
		}
		if got.Run != nil {
			if again := pack(got.Run.unpack(), got.Run.Foreground).unpack(); !reflect.DeepEqual(again, got.Run.unpack()) {
				t.Errorf("%+v came back as %+v", got.Run.unpack(), again)
			}
		}
	})
}

func FuzzCommandsWritten(f *testing.F) {
	f.Add("sh\n-c\n\xff", "A=b", "/", int64(1), int64(math.MinInt64), true)
	f.Fuzz(func(t *testing.T, args, env, dir string, boot, wall int64, foreground bool) {
		cmd := Command{Args: split(args), Env: split(env), Dir: dir}
		line := encode(command{Op: opRun, Run: pack(cmd, foreground), Until: &Deadline{boot, wall}})
		if bytes.Count(line, []byte{'\n'}) != 1 {
			t.Errorf("%q is not one line", line)
		}
		got, err := decodeCommand(bytes.TrimSuffix(line, []byte{'\n'}))
		if err != nil || !reflect.DeepEqual(got.Run.unpack(), cmd) || *got.Until != (Deadline{boot, wall}) || got.Run.Foreground != foreground {
			t.Errorf("%+v was read as %+v, %v", cmd, got, err)
		}
	})
}

func split(text string) []string {
	var all []string
	for part := range bytes.SplitSeq([]byte(text), []byte{'\n'}) {
		all = append(all, string(part))
	}
	return all
}

func FuzzReports(f *testing.F) {
	f.Add([]byte(`{"op":"exited","code":3,"signal":9}`))
	f.Add([]byte(`{"op":"failed","code":127,"error":"\ud800"}`))
	f.Add([]byte(`{"op":"gone","killed":"deadline passed"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		var got, again report
		if json.Unmarshal(line, &got) != nil {
			return
		}
		if err := json.Unmarshal(encode(got), &again); err != nil || got != again {
			t.Errorf("%q was read as %+v, and what that is written as, as %+v, %v", line, got, again, err)
		}
		_ = failure(got).Error() // whatever it says, it is an error
	})
}

// FuzzLines has a stream arrive in pieces of any size.
func FuzzLines(f *testing.F) {
	f.Add([]byte("one\ntwo\n\nthree"), byte(2))
	f.Add([]byte("\n"), byte(0))
	f.Fuzz(func(t *testing.T, stream []byte, size byte) {
		var l lines
		var got [][]byte
		for piece := range slices.Chunk(stream, int(size)+1) {
			l.partial = append(l.partial, piece...)
			if err := l.split(func(line []byte) error { got = append(got, bytes.Clone(line)); return nil }); err != nil {
				t.Fatal(err)
			}
		}
		got = append(got, bytes.Clone(l.partial))
		if want := bytes.Split(stream, []byte{'\n'}); !slices.EqualFunc(got, want, bytes.Equal) {
			t.Errorf("%q came as %q", stream, got)
		}
	})
}

// A deadline so long ago that the time since has no number was taken for one ahead.
func TestADeadlineOfAnyTimeAgoHasPassed(t *testing.T) {
	t.Parallel()
	for _, d := range []Deadline{{math.MinInt64, math.MaxInt64}, {math.MaxInt64, math.MinInt64}, {0, math.MaxInt64}} {
		if !d.passed() {
			t.Errorf("%+v has %v to go", d, d.remaining())
		}
	}
	if d := (Deadline{math.MaxInt64, math.MaxInt64}); d.passed() {
		t.Errorf("%+v has passed", d)
	}
}
