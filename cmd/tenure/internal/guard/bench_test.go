//go:build linux

package guard

import (
	"os"
	"syscall"
	"testing"
	"time"
)

// BenchmarkRun measures what winning an election costs until CMD executes: the
// guard reports it after execve.
func BenchmarkRun(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		g, err := Start(b.Context(), os.Args[0], guardArg)
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		_, err = g.Run(Command{Args: []string{"/bin/sleep", "100"}}, DeadlineAt(time.Now().Add(time.Hour)))
		b.StopTimer()
		if err != nil {
			b.Fatal(err)
		}
		g.Close()
		b.StartTimer()
	}
}

// BenchmarkExit measures from the death of CMD until Wait returns.
func BenchmarkExit(b *testing.B) {
	benchmarkEnd(b, func(_ *Guard, pid int) { _ = syscall.Kill(pid, syscall.SIGKILL) })
}

// BenchmarkKill measures from Kill until Wait returns.
func BenchmarkKill(b *testing.B) { benchmarkEnd(b, func(g *Guard, _ int) { g.Kill() }) }

func benchmarkEnd(b *testing.B, end func(g *Guard, pid int)) {
	for b.Loop() {
		b.StopTimer()
		g, err := Start(b.Context(), os.Args[0], guardArg)
		if err != nil {
			b.Fatal(err)
		}
		pid, err := g.Run(Command{Args: []string{"/bin/sleep", "100"}}, DeadlineAt(time.Now().Add(time.Hour)))
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		end(g, pid)
		g.Wait()
		b.StopTimer()
		g.Close()
		b.StartTimer()
	}
}

func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		g, err := Start(b.Context(), os.Args[0], guardArg)
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		g.Close()
		b.StartTimer()
	}
}

func BenchmarkExtend(b *testing.B) {
	g, err := Start(b.Context(), os.Args[0], guardArg)
	if err != nil {
		b.Fatal(err)
	}
	defer g.Close()
	d := DeadlineAt(time.Now().Add(time.Hour))
	if _, err := g.Run(Command{Args: []string{"/bin/sleep", "100"}}, d); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		for g.Extend(d) != nil { // the guard could not keep up
			time.Sleep(time.Millisecond) // it tells nobody when it can take more
		}
	}
}
