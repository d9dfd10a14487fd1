// Package reaper lets the program be process 1 of a container.
//
// Process 1 inherits every orphan of its container and must wait for it, and the
// kernel delivers it only signals that it handles. A program that waits for
// children of its own cannot wait for everybody's. So process 1 runs the program
// again as its child, passes every signal on to it, reaps what it inherits, and
// ends as the child did; the kernel then kills what is left.
package reaper
