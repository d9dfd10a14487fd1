package history

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/tenure-go/tenure/internal/protocol"
)

// FuzzRecord: any value is corrupt, or a record that means the same when it is written
// again and takes another term.
func FuzzRecord(f *testing.F) {
	for _, value := range []string{
		`{"v":1,"terms":[{"token":3,"member":"a","from":"2026-12-01T12:00:00Z","to":"2026-12-01T12:00:01.5Z","cause":"x"},{"token":9,"member":"b","from":"2026-12-01T12:00:02Z"}]}`,
		`{"v":1}`, `{"v":2,"terms":[]}`, `{"v":1,"terms":[{"token":2},{"token":2}]}`, `{"v":1,"terms":[{"token":-1}]}`, `null`, ``,
		`{"v":1,"terms":[{"token":1,"from":"9999-12-31T23:59:59.999+14:00"}]}`,
	} {
		f.Add([]byte(value), int64(5), "ended")
	}
	f.Fuzz(func(t *testing.T, value []byte, token int64, cause string) {
		r, err := Decode(value)
		if err != nil {
			if !errors.Is(err, protocol.ErrCorrupt) || len(r.Terms) > 0 {
				t.Fatalf("%q: %+v, %v", value, r, err)
			}
			return
		}
		const all = 1 << 30
		written, err := r.Encode(all)
		if err != nil {
			t.Fatalf("%q was read, and is not written: %v", value, err)
		}
		again, err := Decode(written)
		if err != nil {
			t.Fatalf("%q was read, and what it is written as is not: %q, %v", value, written, err)
		}
		if twice, err := again.Encode(all); err != nil || !bytes.Equal(twice, written) {
			t.Fatalf("%q became %q, and that %q, %v", value, written, twice, err)
		}
		if token <= 0 {
			return // no term has it
		}
		put := NewTerm(protocol.Token(token), "m", cause, time.Unix(0, 0)).End(time.Unix(1, 0), cause)
		again.Put(put)
		if written, err = again.Encode(all); err != nil {
			t.Fatal(err)
		}
		if last, err := Decode(written); err != nil || len(last.Terms) > max(len(r.Terms), MaxTerms) || len(put.Cause) > MaxText {
			t.Fatalf("with a term more: %q, %v", written, err)
		}
	})
}
