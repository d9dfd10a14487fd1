package etcdtest_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenure-go/tenure/internal/etcdtest"
)

// A proxy that is cut, one way or both, keeps what it is given, ends no connection, and
// goes on where it was.
func TestProxy(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var echoes sync.WaitGroup
	defer echoes.Wait()
	defer l.Close()
	echoes.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			echoes.Go(func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			})
		}
	})
	p, err := etcdtest.NewProxy("http://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", strings.TrimPrefix(p.Endpoint, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	echo := func(text string) error {
		if _, err := c.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(text))
		if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, []byte(text)) {
			return errors.Join(err, errors.New(string(got)))
		}
		return nil
	}
	if err := echo("one"); err != nil {
		t.Fatal(err)
	}
	p.Cut()
	_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if err := echo("two"); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("through a cut proxy: %v", err)
	}
	p.Heal()
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	got := make([]byte, 3)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "two" {
		t.Errorf("after it has healed: %s, %v", got, err)
	}
	if err := echo("three"); err != nil {
		t.Error(err)
	}
	for _, way := range []etcdtest.Way{etcdtest.Requests, etcdtest.Replies} {
		p.Cut(way)
		_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if err := echo("four"); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("with way %v cut: %v", way, err)
		}
		p.Heal()
		_ = c.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := io.ReadFull(c, make([]byte, 4)); err != nil {
			t.Error(err)
		}
	}
	const late = 50 * time.Millisecond
	p.Delay(late)
	began := time.Now()
	if err := echo("five"); err != nil || time.Since(began) < 2*late {
		t.Errorf("there and back in %v, %v", time.Since(began), err)
	}
	p.Delay(0)
	if !p.Connected() {
		t.Error("nobody is connected")
	}
	p.Cut()
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if _, err := c.Read(got); !errors.Is(err, io.EOF) {
		t.Errorf("after Close: %v", err)
	}
}
