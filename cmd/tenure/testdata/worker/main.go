// Command worker is what "tenure run" runs in the tests: a small program, so that
// what is measured is not its own start.
//
//	worker work FILE [CHECKED]   append lines to FILE until killed, and to CHECKED
//	                             those that a writer lets in who checks the token
//	worker stamp FILE            append a line at the start, and one at SIGTERM
//
// A line is "what token member pid ppid time", the time in nanoseconds of the
// system's clock.
package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() {
	start := time.Now()
	out := open(os.Args[2])
	say(out, "start", start)
	if os.Args[1] == "stamp" {
		asked := make(chan os.Signal, 1)
		signal.Notify(asked, syscall.SIGTERM)
		<-asked
		say(out, "exit", time.Now())
		return
	}
	var checked *os.File
	if len(os.Args) > 3 {
		checked = open(os.Args[3])
	}
	for range time.Tick(time.Millisecond) {
		say(out, "work", time.Now())
		if checked != nil {
			check(checked, out)
		}
	}
}

func open(path string) *os.File {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	must(err)
	return f
}

func say(f *os.File, what string, at time.Time) {
	_, err := fmt.Fprintln(f, what, os.Getenv("TENURE_TOKEN"), os.Getenv("TENURE_MEMBER"), os.Getpid(), os.Getppid(), at.UnixNano())
	must(err)
}

// check writes a line to checked unless a higher token has been there; it tells
// out when it does not.
func check(checked, out *os.File) {
	must(syscall.Flock(int(checked.Fd()), syscall.LOCK_EX))
	defer func() { must(syscall.Flock(int(checked.Fd()), syscall.LOCK_UN)) }()
	if number(os.Getenv("TENURE_TOKEN")) < highest(checked) {
		say(out, "refused", time.Now())
		return
	}
	say(checked, "work", time.Now())
}

// highest is the token of the last line: whoever wrote that has checked.
func highest(f *os.File) int {
	size, err := f.Seek(0, io.SeekEnd)
	must(err)
	tail := make([]byte, min(size, 4096))
	_, err = f.ReadAt(tail, size-int64(len(tail)))
	must(err)
	lines := bytes.Split(bytes.TrimSuffix(tail, []byte("\n")), []byte("\n"))
	fields := bytes.Fields(lines[len(lines)-1])
	if len(fields) < 2 {
		return 0
	}
	return number(string(fields[1]))
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	must(err)
	return n
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
}
