//go:build !linux

package main

import "time"

// monotonic is as good as the host's clock while nobody sets it.
func monotonic() time.Duration { return time.Duration(time.Now().UnixNano()) }
