// Package lint holds the house rules that the compiler cannot know.
package lint

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/murmuration-go/murmuration"

// arrows are the rules about who may import whom. A package in "from" may not
// import what "never" names: a package of ours by its folder, any other by its
// path. Both cover what lies below.
var arrows = []struct {
	from, never []string
	except      []string // folders below from that may
	reason      string
}{
	{
		from:   []string{"internal/coord", "internal/law", "internal/plan", "internal/node", "internal/wire", "internal/rendezvous", "internal/ledger", "internal/frugal", "internal/outlive"},
		never:  []string{"retry", "breaker", "failover", "gossip", "otel", "net", "net/http", "os", "log", "log/slog"},
		reason: "the core decides and knows no network; the arrows point at it",
	},
	{
		from:   []string{"internal/law", "internal/plan", "internal/node", "internal/wire", "internal/rendezvous", "internal/ledger"},
		never:  []string{"math/rand", "math/rand/v2", "sync"},
		reason: "the core is a deterministic machine: randomness and goroutines come from outside",
	},
	{
		from:   []string{"retry"},
		never:  []string{"breaker", "failover", "gossip", "otel"},
		reason: "refusals are known by NotSent, not by their package",
	},
	{
		from:   []string{"breaker"},
		never:  []string{"retry", "failover", "gossip", "otel"},
		reason: "a breaker works alone and under any retry loop",
	},
	{
		from:   []string{"failover"},
		never:  []string{"gossip", "otel"},
		reason: "a group works with any cluster, or none",
	},
	{
		from:   []string{"gossip"},
		never:  []string{"retry", "breaker", "failover", "otel"},
		reason: "the shell moves counters and advice and does not know who uses them",
	},
	{
		from:   []string{"."},
		never:  []string{"github.com/hashicorp"},
		except: []string{"gossip", "internal/links", "benchmarks"},
		reason: "only gossip, and what it travels over, knows memberlist",
	},
	{
		from:   []string{"."},
		never:  []string{"go.opentelemetry.io"},
		except: []string{"otel", "examples", "benchmarks"},
		reason: "only otel knows OpenTelemetry",
	},
	{
		from:   []string{"."},
		never:  []string{"github.com/sony/gobreaker"},
		except: []string{"breaker", "examples", "benchmarks"},
		reason: "only breaker knows gobreaker",
	},
	{
		from:   []string{"."},
		never:  []string{"google.golang.org/grpc", "google.golang.org/protobuf", "google.golang.org/genproto"},
		except: []string{"failover/failovergrpc", "retry/retrygrpc", "examples", "benchmarks"},
		reason: "only the gRPC adapters know gRPC; who uses none builds none",
	},
	{
		from:   []string{"retry", "breaker", "failover"},
		never:  []string{"net/http"},
		except: []string{"retry/retryhttp", "failover/failoverhttp"},
		reason: "policy knows no protocol; what an HTTP status means is for the adapters",
	},
	{
		from:   []string{"retry/retryhttp", "retry/retrygrpc"},
		never:  []string{"internal/ledger", "internal/law", "internal/plan", "internal/node", "internal/wire"},
		reason: "an adapter carries numbers and words; what they cost is decided in retry",
	},
}

func TestArrows(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	files := 0
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != root:
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		files++
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		folder := filepath.ToSlash(filepath.Dir(rel))
		for _, spec := range f.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			check(t, folder, filepath.ToSlash(rel), imported)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 30 {
		t.Errorf("looked at %d files only; is the root of the module still two folders up?", files)
	}
}

func check(t *testing.T, folder, file, imported string) {
	t.Helper()
	below := func(what string, roots []string) bool {
		return slices.ContainsFunc(roots, func(r string) bool {
			return r == "." || what == r || strings.HasPrefix(what, r+"/")
		})
	}
	for _, a := range arrows {
		if !below(folder, a.from) || below(folder, a.except) {
			continue
		}
		// A folder of ours and a path of another are told apart by the module.
		ours, isOurs := strings.CutPrefix(imported, module+"/")
		for _, never := range a.never {
			local := isFolder(never)
			switch {
			case local && isOurs && below(ours, []string{never}),
				!local && !isOurs && (imported == never || strings.Contains(never, ".") && strings.HasPrefix(imported, never+"/")):
				t.Errorf("%s imports %s: %s", file, imported, a.reason)
			}
		}
	}
}

// isFolder reports whether a name is a folder at the top of the module.
func isFolder(name string) bool {
	st, err := os.Stat(filepath.Join("..", "..", name))
	return err == nil && st.IsDir()
}

// TestTopLevel keeps the top of the repository as small as it was meant to be.
func TestTopLevel(t *testing.T) {
	allowed := []string{
		"go.mod", "go.sum", "README.md", "LICENSE", "retry", "breaker", "failover",
		"gossip", "otel", "examples", "benchmarks", "internal",
	}
	entries, err := os.ReadDir("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && !slices.Contains(allowed, e.Name()) {
			t.Errorf("%s does not belong at the top level; there are %s, and files that begin with a dot", e.Name(), strings.Join(allowed, ", "))
		}
	}
}
