//go:build unix

package guard

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"syscall"

	"golang.org/x/sys/unix"
)

// lines reads whole lines from a descriptor that does not block.
type lines struct {
	fd      int
	buf     [64 << 10]byte
	partial []byte
}

// read calls f for each line that is there, and returns nil when there is no
// more for now.
func (l *lines) read(f func(line []byte) error) error {
	for {
		n, err := unix.Read(l.fd, l.buf[:])
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			return nil
		case err != nil:
			return fmt.Errorf("read commands: %w", err)
		case n == 0:
			return io.EOF // what is left of a line was cut off by the writer's death
		}
		l.partial = append(l.partial, l.buf[:n]...)
		if err := l.split(f); err != nil {
			return err
		}
	}
}

func (l *lines) split(f func(line []byte) error) error {
	for {
		line, rest, found := bytes.Cut(l.partial, []byte{'\n'})
		if !found {
			break
		}
		l.partial = rest
		if err := f(line); err != nil {
			return err
		}
	}
	if len(l.partial) > maxLine {
		return errors.New("malformed command: endless line")
	}
	return nil
}
