package main

import (
	"bufio"
	"fmt"
	"io"
	"os"

	"github.com/tenure-go/tenure/store"
)

// result is what a job leaves behind each time that it is done: a line of a file.
type result struct {
	Job    string
	Worker worker
	Token  store.Revision // of the take: it rises from one worker of a job to the next
}

const resultLine = "%s %s %s %d %d\n"

// write appends the line. In one write, because processes share the file.
func (r result) write(file string) error {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, resultLine, r.Job, r.Worker.Node, r.Worker.Incarnation, r.Worker.PID, r.Token)
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

// readResults reads what was written, in that order.
func readResults(file io.Reader) ([]result, error) {
	var all []result
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var r result
		if _, err := fmt.Sscanf(lines.Text()+"\n", resultLine, &r.Job, &r.Worker.Node, &r.Worker.Incarnation, &r.Worker.PID, &r.Token); err != nil {
			return nil, fmt.Errorf("result %q: %w", lines.Text(), err)
		}
		all = append(all, r)
	}
	return all, lines.Err()
}
