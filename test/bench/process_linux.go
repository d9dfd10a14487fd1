package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// takenBy is what a process has used and holds.
func takenBy(pid int) (taken, error) {
	const tick = time.Second / 100 // of the kernel's accounts, on every system that Go runs on
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return taken{}, err
	}
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return taken{}, err
	}
	times := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])[11:13] // in user mode, and in the kernel
	pages := bytes.Fields(statm)[1:3]                                     // resident, and of those shared
	var numbers []int64
	for _, field := range append(times, pages...) {
		n, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			return taken{}, err
		}
		numbers = append(numbers, n)
	}
	size := int64(os.Getpagesize())
	return taken{time.Duration(numbers[0]+numbers[1]) * tick, numbers[2] * size, numbers[3] * size}, nil
}
