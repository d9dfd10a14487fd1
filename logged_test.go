package tenure_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
)

// logged keeps what a logger was told, without the times.
type logged struct{ told }

func (l *logged) logger() *slog.Logger { return slog.New(&handler{l}) }

type handler struct{ *logged }

func (h *handler) Enabled(context.Context, slog.Level) bool { return true }
func (h *handler) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h *handler) WithGroup(string) slog.Handler            { return h }

func (h *handler) Handle(_ context.Context, r slog.Record) error {
	var line strings.Builder
	fmt.Fprint(&line, r.Level, " ", r.Message)
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&line, " %s=%v", a.Key, a.Value)
		return true
	})
	h.add("%s", line.String())
	return nil
}
