package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// logger is etcd's, which it takes as its way out, too: where it cannot go on, it
// logs, and expects the process to have ended. Here the goroutine ends, with its
// deferred calls, and fatal is closed.
type logger struct {
	to    *slog.Logger
	attrs []slog.Attr
	state *fatality
}

// fatality is why etcd cannot go on. The first reason counts.
type fatality struct {
	once sync.Once
	ch   chan struct{} // closed when err is set
	err  error
}

func newFatality() *fatality { return &fatality{ch: make(chan struct{})} }

func (f *fatality) set(err error) {
	f.once.Do(func() {
		f.err = err
		close(f.ch)
	})
}

func newLogger(to *slog.Logger, state *fatality) *zap.Logger {
	core := &logger{to: to, state: state}
	return zap.New(core, zap.WithFatalHook(leave{}), zap.WithPanicHook(leave{}))
}

// leave ends the goroutine that logged.
type leave struct{}

// OnWrite implements zapcore.CheckWriteHook.
func (leave) OnWrite(*zapcore.CheckedEntry, []zapcore.Field) { runtime.Goexit() }

// Enabled implements zapcore.Core.
func (l *logger) Enabled(level zapcore.Level) bool {
	return level >= zapcore.DPanicLevel || l.to.Enabled(context.Background(), levelOf(level))
}

// levelOf is the level of an entry here. Etcd complains of every connection that ends,
// and of every peer that is away; that interests who looks for a fault in it.
func levelOf(level zapcore.Level) slog.Level {
	if level >= zapcore.DPanicLevel {
		return slog.LevelError
	}
	return slog.LevelDebug
}

// With implements zapcore.Core.
func (l *logger) With(fields []zapcore.Field) zapcore.Core {
	more := *l
	more.attrs = slices.Concat(l.attrs, attrsOf(fields))
	return &more
}

// Check implements zapcore.Core.
func (l *logger) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if l.Enabled(e.Level) {
		return ce.AddCore(e, l)
	}
	return ce
}

// Write implements zapcore.Core.
func (l *logger) Write(e zapcore.Entry, fields []zapcore.Field) error {
	if e.Level >= zapcore.DPanicLevel {
		l.state.set(reason(e.Message, fields))
	}
	attrs := slices.Concat(attrsOf(fields), l.attrs)
	l.to.LogAttrs(context.Background(), levelOf(e.Level), "etcd: "+e.Message, attrs...)
	return nil
}

// Sync implements zapcore.Core.
func (l *logger) Sync() error { return nil }

// reason is the error of an entry, with the one that it carries.
func reason(message string, fields []zapcore.Field) error {
	for _, f := range fields {
		if err, ok := f.Interface.(error); ok && f.Type == zapcore.ErrorType {
			return fmt.Errorf("etcd: %s: %w", message, err)
		}
	}
	return errors.New("etcd: " + message)
}

func attrsOf(fields []zapcore.Field) []slog.Attr {
	if len(fields) == 0 {
		return nil
	}
	to := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(to)
	}
	attrs := make([]slog.Attr, 0, len(to.Fields))
	for _, f := range fields { // in their order
		if v, ok := to.Fields[f.Key]; ok {
			attrs = append(attrs, slog.Any(f.Key, v))
			delete(to.Fields, f.Key)
		}
	}
	return attrs
}
