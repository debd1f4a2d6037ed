// Command pack makes the zip that AWS Lambda takes for catchment.
//
//	go run ./cmd/catchment-lambda/pack -arch arm64
//
// The zip holds the executable bootstrap and, where one is given, the spec. The same sources make the same bytes, so that
// deploying what has not changed changes nothing. https://docs.aws.amazon.com/lambda/latest/dg/golang-package.html
package main

import (
	"archive/zip"
	"compress/flate"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(2) // the flags have said what is wrong
	default:
		fmt.Fprintf(os.Stderr, "pack: error: %v\n", err)
		os.Exit(1)
	}
}

var errUsage = errors.New("the command line is wrong")

// program is what is packed.
const program = "example.org/catchment/cmd/catchment-lambda"

// architectures are those that Lambda has.
var architectures = []string{"arm64", "amd64"}

type options struct {
	arch, out, spec string
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o options
	flags := flag.NewFlagSet("pack", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.arch, "arch", architectures[0], "the function's architecture: "+strings.Join(architectures, " or ")+" (which Lambda calls x86_64)")
	flags.StringVar(&o.out, "o", "", "the zip's name; without it catchment-lambda-ARCH.zip")
	flags.StringVar(&o.spec, "spec", "", "a catchment.yaml to put beside the program")
	if err := flags.Parse(args); err != nil {
		return errors.Join(errUsage, err)
	}
	if flags.NArg() > 0 || !slices.Contains(architectures, o.arch) {
		flags.Usage()
		return errUsage
	}
	if o.out == "" {
		o.out = "catchment-lambda-" + o.arch + ".zip"
	}
	size, err := pack(ctx, o, stderr)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%s  %.1f MB\n", o.out, float64(size)/1e6)
	return err
}

// pack builds and zips, and gives the zip's size in bytes.
func pack(ctx context.Context, o options, stderr io.Writer) (size int64, err error) {
	folder, err := os.MkdirTemp("", "catchment-pack-")
	if err != nil {
		return 0, fmt.Errorf("make a folder to build in: %w", err)
	}
	defer os.RemoveAll(folder)
	binary := filepath.Join(folder, "bootstrap")
	// The tag leaves out what only the runtime go1.x needed. A commit that changes nothing here is to change no byte.
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-tags", "lambda.norpc", "-ldflags", "-s -w", "-o", binary, program) //nolint:gosec // all of it is ours
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+o.arch)
	build.Stdout, build.Stderr = stderr, stderr
	if err := build.Run(); err != nil {
		return 0, fmt.Errorf("go build for linux/%s: %w", o.arch, err)
	}
	files := []file{{binary, "bootstrap", 0o755}}
	if o.spec != "" {
		files = append(files, file{o.spec, "catchment.yaml", 0o644})
	}
	out, err := os.Create(o.out)
	if err != nil {
		return 0, fmt.Errorf("create the zip: %w", err)
	}
	defer func() {
		if closed := out.Close(); err == nil {
			err = closed
		}
		if err != nil {
			_ = os.Remove(o.out) // half a zip is none
		}
	}()
	if err := write(out, files); err != nil {
		return 0, fmt.Errorf("write %s: %w", o.out, err)
	}
	info, err := out.Stat()
	if err != nil {
		return 0, fmt.Errorf("write %s: %w", o.out, err)
	}
	return info.Size(), nil
}

// A file goes into the zip under a name.
type file struct {
	path, name string
	mode       fs.FileMode
}

// earliest is the first time that a zip can tell.
var earliest = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

func write(to io.Writer, files []file) error {
	z := zip.NewWriter(to)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestCompression) })
	for _, f := range files {
		header := &zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: earliest}
		header.SetMode(f.mode)
		w, err := z.CreateHeader(header)
		if err != nil {
			return err
		}
		in, err := os.Open(f.path)
		if err != nil {
			return err
		}
		_, err = io.Copy(w, in)
		if err := errors.Join(err, in.Close()); err != nil {
			return err
		}
	}
	return z.Close()
}
