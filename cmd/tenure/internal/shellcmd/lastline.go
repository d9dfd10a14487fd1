//go:build unix

package shellcmd

import (
	"bytes"
	"io"
	"os"
	"strings"
	"time"
)

// maxLine is what is kept of a line, in bytes.
const maxLine = 256

// drain is for what was written before the end, where a process that has left the
// group keeps its output open.
const drain = 100 * time.Millisecond

// lastLine reads an output, however much that is, and keeps the last line that says
// something.
type lastLine struct {
	in, out *os.File
	read    chan struct{} // closed when all is

	line    []byte // the present one, as far as it is kept
	ended   bool   // by its end
	dropped bool   // some of it was
}

func newLastLine() (*lastLine, error) {
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	l := &lastLine{in: in, out: out, read: make(chan struct{})}
	go func() {
		defer close(l.read)
		_, _ = io.Copy(l, out) // until the deadline, at the latest
	}()
	return l, nil
}

// end returns the line, once nobody writes any more.
func (l *lastLine) end() string {
	_ = l.in.Close() // nothing is written here
	_ = l.out.SetReadDeadline(time.Now().Add(drain))
	<-l.read
	_ = l.out.Close()
	text := strings.TrimSpace(string(l.line))
	if l.dropped {
		text += "..."
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

func (l *lastLine) Write(b []byte) (int, error) {
	for line := range bytes.Lines(b) {
		if l.ended && len(bytes.TrimSpace(line)) > 0 {
			l.line, l.ended, l.dropped = nil, false, false
		}
		text := bytes.TrimSuffix(line, []byte{'\n'})
		l.ended = l.ended || len(text) < len(line)
		room := maxLine - len(l.line)
		l.line = append(l.line, text[:min(room, len(text))]...)
		l.dropped = l.dropped || len(text) > room
	}
	return len(b), nil
}
