package lambda

import (
	"bytes"
	"strings"
	"sync"
)

// maxLog is how much of a function's log is kept: what Invoke gives back with LogType Tail.
const maxLog = 4096

// A logTail keeps the end of what a function's processes print.
type logTail struct {
	mu   sync.Mutex
	text []byte // guarded by mu
}

// Write takes what a process prints.
func (l *logTail) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, b...)
	if extra := len(l.text) - maxLog; extra > 0 {
		l.text = append(l.text[:0], l.text[extra:]...)
	}
	return len(b), nil
}

func (l *logTail) tail() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.text)
}

func (l *logTail) lines() []string {
	text := strings.TrimRight(string(l.tail()), "\n")
	if text == "" {
		return []string{}
	}
	return strings.Split(text, "\n")
}
