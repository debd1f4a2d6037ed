package dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"example.org/catchment/internal/store"
)

var _ store.Grouper = (*Store)(nil)

// least is the size of a group for which two syncs of the whole filesystem are cheaper than two of each object and
// one of each folder that is new. They also write what others have left unwritten there.
const least = 8

// PutAll is [store.Grouper.PutAll]: all objects are written aside, then the filesystem is synced; all are linked to
// their names, then it is synced again. No name is ever seen on disk before its bytes are there.
func (s *Store) PutAll(ctx context.Context, objects []store.Keyed) []error {
	errs := make([]error, len(objects))
	if len(objects) < least || !reportsWriteErrors() {
		for i, o := range objects {
			errs[i] = s.Put(ctx, o.Key, o.Body)
		}
		return errs
	}
	g := &group{s: s, ctx: ctx, members: make([]member, len(objects))}
	if err := g.run(objects); err != nil {
		err = classify(fmt.Errorf("put %d objects: %w", len(objects), err))
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	for i, o := range objects {
		m := &g.members[i]
		switch {
		case m.alone:
			errs[i] = s.Put(ctx, o.Key, o.Body)
		case m.err != nil:
			errs[i] = classify(fmt.Errorf("put %s: %w", o.Key, m.err))
		}
	}
	return errs
}

// reportsWriteErrors tells whether this kernel's syncfs reports that bytes could not be written: since Linux 5.8.
func reportsWriteErrors() bool {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return false
	}
	var major, minor int
	if n, _ := fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &major, &minor); n != 2 {
		return false
	}
	return major > 5 || major == 5 && minor >= 8
}

// A group is what PutAll puts together.
type group struct {
	s       *Store
	ctx     context.Context //nolint:containedctx // the group lives as long as the call
	room    *os.Root
	roomDir *os.File
	path    []level // folders that are open, from the outside in
	members []member
}

// A level is an open folder on the way to a key.
type level struct {
	name string
	root *os.Root
}

// A member is one object of a group.
type member struct {
	tmp    string   // its name in the room
	folder *os.File // where its key lies
	name   string   // of the folder
	alone  bool     // its name is taken, or something is odd: Put knows what to do
	err    error
}

func (g *group) run(objects []store.Keyed) (err error) {
	if g.room, err = g.s.root.OpenRoot(g.s.room.name); err != nil {
		return err
	}
	if g.roomDir, err = g.room.Open("."); err != nil {
		return errors.Join(err, g.room.Close())
	}
	defer func() { err = errors.Join(err, g.close()) }()
	for i, o := range objects {
		if err := context.Cause(g.ctx); err != nil {
			return err
		}
		g.prepare(&g.members[i], o)
	}
	g.leave(0)
	if err := unix.Syncfs(int(g.roomDir.Fd())); err != nil {
		return fmt.Errorf("sync the filesystem: %w", err)
	}
	if err := context.Cause(g.ctx); err != nil {
		return err // the last moment at which nothing has happened
	}
	for i, o := range objects {
		g.link(&g.members[i], o.Key)
	}
	if err := unix.Syncfs(int(g.roomDir.Fd())); err != nil {
		return fmt.Errorf("sync the filesystem: %w", err)
	}
	for i := range g.members {
		if m := &g.members[i]; !m.alone && m.err == nil {
			g.s.folders.addAll(m.name)
		}
	}
	return nil
}

// prepare writes an object aside and makes the folder of its key.
func (g *group) prepare(m *member, o store.Keyed) {
	if m.err = check(o.Key); m.err != nil {
		return
	}
	m.name = path.Dir(o.Key)
	folder, err := g.enter(m.name)
	if err != nil {
		m.alone = true
		return
	}
	if _, err := folder.Lstat(path.Base(o.Key)); !errors.Is(err, fs.ErrNotExist) {
		m.alone = true
		return
	}
	if m.folder, m.err = folder.Open("."); m.err != nil {
		return
	}
	m.tmp = strconv.FormatUint(g.s.room.number.Add(1), 10)
	m.err = g.s.writeTo(g.ctx, g.room, m.tmp, o.Body, func(*os.File) error { return nil })
}

// enter goes to a folder, making it and those above it where they are not there. Those in which the last one lies
// are still open.
func (g *group) enter(name string) (*os.Root, error) {
	if name == "." {
		g.leave(0)
		return g.s.root, nil
	}
	at, depth := g.s.root, 0
	for step := range strings.SplitSeq(name, "/") {
		if depth < len(g.path) && g.path[depth].name == step {
			at = g.path[depth].root
			depth++
			continue
		}
		g.leave(depth)
		if err := at.Mkdir(step, 0o750); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		next, err := at.OpenRoot(step)
		if err != nil {
			return nil, err
		}
		g.path = append(g.path, level{step, next})
		at, depth = next, depth+1
	}
	g.leave(depth)
	return at, nil
}

// leave closes the folders from a depth on.
func (g *group) leave(depth int) {
	for i := depth; i < len(g.path); i++ {
		_ = g.path[i].root.Close() // it was only looked into
	}
	g.path = g.path[:min(depth, len(g.path))]
}

// link gives an object its name.
func (g *group) link(m *member, key string) {
	if m.alone || m.err != nil {
		return
	}
	err := unix.Linkat(int(g.roomDir.Fd()), m.tmp, int(m.folder.Fd()), path.Base(key), 0)
	if err != nil {
		m.alone = true // taken in the meantime, the folder removed, or no links here: Put knows
	}
}

func (g *group) close() error {
	g.leave(0)
	var errs []error
	for i := range g.members {
		m := &g.members[i]
		if m.folder != nil {
			errs = append(errs, m.folder.Close())
		}
		if m.tmp != "" {
			if err := g.room.Remove(m.tmp); !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(append(errs, g.roomDir.Close(), g.room.Close())...)
}
