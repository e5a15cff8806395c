package script_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/murmuration-go/murmuration/internal/sim/script"
)

var rewrite = flag.Bool("rewrite", false, "write to the scenario files what their scripts do now")

// TestGolden runs the scenario files and compares what they show with what they
// hold, in which each command is followed by what it led to, indented. After a
// change that is meant to change it:
//
//	go test ./internal/sim/script -run Golden -rewrite
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenario files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s, err := script.Parse(bytes.NewReader(want))
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			if _, err := script.Run(s, script.Options{Output: &got, Echo: true}); err != nil {
				t.Error(err)
			}
			switch {
			case bytes.Equal(got.Bytes(), want):
			case *rewrite:
				if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			default:
				t.Errorf("%s says otherwise; see what has changed by -rewrite:\n%s", file, difference(string(want), got.String()))
			}
		})
	}
}

// difference is the first lines that differ.
func difference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range w {
		if i >= len(g) || w[i] != g[i] {
			return strings.Join(append(prefixed("-", w[i:min(i+5, len(w))]), prefixed("+", g[min(i, len(g)):min(i+5, len(g))])...), "\n")
		}
	}
	return strings.Join(prefixed("+", g[len(w):]), "\n")
}

func prefixed(p string, lines []string) (l []string) {
	for _, s := range lines {
		l = append(l, p+s)
	}
	return l
}
