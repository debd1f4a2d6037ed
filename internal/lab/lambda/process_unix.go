//go:build unix

package lambda

import (
	"os"
	"os/exec"
	"syscall"
)

// ownGroup makes a process that is to be started the first of a group: what it starts itself can be ended with it.
func ownGroup(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// killGroup ends a process and what it has started. They may have ended by themselves.
func killGroup(p *os.Process) { _ = syscall.Kill(-p.Pid, syscall.SIGKILL) }
