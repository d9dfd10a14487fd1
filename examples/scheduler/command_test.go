package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/embedded"
)

// command is a command that runs, and what it says.
type command struct {
	t    *testing.T
	ctx  context.Context // of the test that waits
	cmd  *exec.Cmd
	dir  string
	done chan struct{} // closed when nobody says anything any more
	report
	read int64 // of the file of results

	mu      sync.Mutex
	url     string
	running map[string]int       // the pid of each node
	terms   map[tenure.Token]int // the pid of who led
	said    strings.Builder
}

func start(ctx context.Context, t *testing.T, what string, args ...string) *command {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	c := &command{
		t: t, ctx: ctx, cmd: exec.CommandContext(ctx, self, append(args, "-dir", dir)...), dir: dir, done: make(chan struct{}),
		report:  report{killed: map[int]int{}, joined: map[int]bool{}, ended: map[int]bool{}, cutOff: map[int]bool{}},
		running: map[string]int{}, terms: map[tenure.Token]int{},
	}
	c.cmd.Env = append(os.Environ(), commandEnv+"="+what)
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c.cmd.Stdout, c.cmd.Stderr = in, in
	err = c.cmd.Start()
	_ = in.Close() // it has its own
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(c.done)
		defer out.Close()
		c.listen(out)
	}()
	t.Cleanup(func() {
		_ = c.cmd.Process.Kill() // or it has ended
		timer := time.NewTimer(stopTimeout)
		defer timer.Stop()
		select {
		case <-c.done: // so its nodes have ended, too
		case <-timer.C:
			for _, pid := range c.nodes() {
				c.kill(pid)
			}
			<-c.done
		}
		_ = c.cmd.Wait() // again, perhaps: what it was, end returns
		if t.Failed() {
			t.Logf("the command said:\n%s", c.said.String())
		}
	})
	return c
}

var (
	storeLine = regexp.MustCompile(`the store: (\S+)`)
	nodeLine  = regexp.MustCompile(`(node-\d) \(pid (\d+)\) (is started|joins|has ended|is cut off|leads, term (\d+))`)
)

func (c *command) listen(out io.Reader) {
	for lines := bufio.NewScanner(out); lines.Scan(); {
		c.mu.Lock()
		fmt.Fprintln(&c.said, lines.Text())
		if m := storeLine.FindStringSubmatch(lines.Text()); m != nil {
			c.url = m[1]
		}
		if m := nodeLine.FindStringSubmatch(lines.Text()); m != nil {
			pid, _ := strconv.Atoi(m[2]) // digits
			switch m[3] {
			case "is started":
				c.running[m[1]] = pid
			case "joins":
				c.joined[pid] = true
			case "has ended":
				delete(c.running, m[1])
				c.ended[pid] = true
			case "is cut off":
				c.cutOff[pid] = true
			default:
				token, _ := strconv.ParseInt(m[4], 10, 64) // digits
				c.terms[tenure.Token(token)] = pid
			}
		}
		c.mu.Unlock()
	}
}

// store is where the store is; nodes are the pids of those that run; joins is how many have
// joined; leader is the pid of who said that it leads in a term, or 0.
func (c *command) store() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.url
}

func (c *command) nodes() []int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Values(c.running))
}

func (c *command) joins() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.joined)
}

func (c *command) leader(token tenure.Token) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.terms[token]
}

// await waits until something holds.
func (c *command) await(holds func() bool) {
	c.t.Helper()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for !holds() {
		select {
		case <-look.C:
		case <-c.done:
			c.t.Fatal("the command has ended")
		case <-c.ctx.Done():
			c.t.Fatal("waited in vain")
		}
	}
}

// written returns the results that there are now. It reads each once, because it is asked often.
func (c *command) written() []result {
	f, err := os.Open(filepath.Join(c.dir, resultsFile))
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		c.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Seek(c.read, io.SeekStart); err != nil {
		c.t.Fatal(err)
	}
	more, err := io.ReadAll(f)
	if err != nil {
		c.t.Fatal(err)
	}
	more = more[:bytes.LastIndexByte(more, '\n')+1]
	news, err := readResults(bytes.NewReader(more))
	if err != nil {
		c.t.Fatal(err)
	}
	c.read += int64(len(more))
	c.results = append(c.results, news...)
	return c.results
}

// end waits until the command and all of its nodes have ended.
func (c *command) end() error {
	select {
	case <-c.done:
	case <-c.ctx.Done():
		c.t.Fatal("some process goes on")
	}
	return c.cmd.Wait()
}

// left reads what a command that has ended has left.
func (c *command) left(ctx context.Context) report {
	address, err := freeAddress()
	if err != nil {
		c.t.Fatal(err)
	}
	server, err := embedded.Start(ctx, embedded.Config{Name: "a", Dir: filepath.Join(c.dir, "store"), Client: address})
	if err != nil {
		c.t.Fatal(err)
	}
	defer server.Close()
	st, err := server.Store(ctx, "")
	if err != nil {
		c.t.Fatal(err)
	}
	defer st.Close()
	if c.jobs, err = jobsIn(st).list(ctx); err != nil {
		c.t.Fatal(err)
	}
	c.written()
	return c.report
}
