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
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:]) // from the state on
	var numbers []int64
	for _, i := range []int{11, 12, 21} { // ticks in user mode, in the kernel; pages
		n, err := strconv.ParseInt(string(fields[i]), 10, 64)
		if err != nil {
			return taken{}, err
		}
		numbers = append(numbers, n)
	}
	return taken{time.Duration(numbers[0]+numbers[1]) * tick, numbers[2] * int64(os.Getpagesize())}, nil
}
