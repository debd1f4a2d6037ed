//go:build !unix

package lambda

import (
	"os"
	"os/exec"
)

// ownGroup does nothing: there are no groups of processes.
func ownGroup(*exec.Cmd) {}

// killGroup ends a process. It may have ended by itself.
func killGroup(p *os.Process) { _ = p.Kill() }
