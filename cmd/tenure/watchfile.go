package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenure-go/tenure"
)

// leaderFile is a file that holds who leads, for programs that can only read files.
type leaderFile struct {
	*common
	election string
	path     string // of the file itself, not of a link to it
	told     string // what keeps it from being written
}

// The pauses between attempts to write the file, doubled from the first to the last.
const (
	writeMin = time.Second
	writeMax = 30 * time.Second
)

// newLeaderFile refuses what cannot be such a file, before anything is asked of a store.
func (c *common) newLeaderFile(election, path string) (*leaderFile, error) {
	info, err := os.Lstat(path)
	if err == nil && info.Mode()&os.ModeSymlink != 0 { // or the link would be replaced
		if path, err = filepath.EvalSymlinks(path); err == nil {
			info, err = os.Stat(path)
		}
		if err != nil {
			return nil, fmt.Errorf("--write: the link leads nowhere: %w", err)
		}
	}
	switch {
	case err == nil && info.IsDir():
		return nil, fmt.Errorf("--write: %s is a directory; give a file in it", path)
	case err == nil && !info.Mode().IsRegular():
		return nil, fmt.Errorf("--write: %s is no regular file, and would be replaced by one; give another", path)
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("--write: %w", err)
	}
	if dir, err := os.Stat(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("--write: %w; make the directory first", err)
	} else if !dir.IsDir() {
		return nil, fmt.Errorf("--write: %s is no directory", filepath.Dir(path))
	}
	return &leaderFile{common: c, election: election, path: path}, nil
}

// keep keeps the file until the command is interrupted. It fails where the file cannot be
// written at first.
func (f *leaderFile) keep(cmd *cobra.Command) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	st, _, err := f.open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = st.Close() }() // nothing was written
	latest := make(chan []byte, 1)
	ended := make(chan error, 1)
	go func() { ended <- f.observe(ctx, tenure.NewView(st, f.election), latest) }()
	err = f.write(ctx, latest)
	stop()
	return errors.Join(err, <-ended)
}

// observe puts what the file should hold into a channel, in place of what was not
// written yet.
func (f *leaderFile) observe(ctx context.Context, view *tenure.View, latest chan []byte) error {
	defer close(latest)
	for ev, err := range view.Observe(ctx) {
		switch {
		case err != nil && ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		case ev.Kind == tenure.Gap:
			continue // what it is now follows
		}
		text, err := f.text(ev)
		if err != nil {
			return err
		}
		select {
		case <-latest:
		default:
		}
		latest <- text // there is room: nobody else puts anything in
	}
	return nil
}

// text is what the file holds.
func (f *leaderFile) text(ev tenure.Event) ([]byte, error) {
	var text bytes.Buffer
	l := ev.Leader
	switch {
	case ev.Kind != tenure.Elected:
		return nil, nil
	case f.json:
		err := printJSON(&text, newLeaderJSON(f.election, l))
		return text.Bytes(), err
	}
	endpoint := ""
	if l.Endpoint != "" {
		endpoint = plain(l.Endpoint)
	}
	fmt.Fprintf(&text, "%s\t%s\t%d\n", plain(l.Member), endpoint, l.Token)
	return text.Bytes(), nil
}

// write writes the file whenever it should hold something else, and again where that has
// failed, but not at first.
func (f *leaderFile) write(ctx context.Context, latest <-chan []byte) error {
	text, ok := <-latest
	if !ok {
		return nil // which observe explains
	}
	if err := replaceFile(f.path, text); err != nil {
		return fmt.Errorf("--write: %w", err)
	}
	var again <-chan time.Time
	pause := writeMin
	for {
		select {
		case text, ok = <-latest:
			if !ok {
				return nil
			}
		case <-again:
		case <-ctx.Done():
			return nil
		}
		again = nil
		if err := replaceFile(f.path, text); err != nil {
			f.trouble(err)
			again = time.After(pause)
			pause = min(2*pause, writeMax)
			continue
		}
		f.told, pause = "", writeMin
	}
}

// trouble says, once, why the file does not hold who leads.
func (f *leaderFile) trouble(err error) {
	if text := err.Error(); text != f.told {
		f.told = text
		fmt.Fprintf(os.Stderr, "tenure: %s: --write: %s; trying again\n", plain(f.election), text)
	}
}
