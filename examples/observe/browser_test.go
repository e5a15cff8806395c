package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/hashicorp/memberlist"

	"github.com/murmuration-go/murmuration/failover"
)

// tab is a page in a real browser.
type tab struct {
	testing.TB
	ctx      context.Context
	expected *atomic.Value // a part of an error that the test itself provokes
}

// browse starts a headless Chromium.
func browse(t *testing.T) tab {
	t.Helper()
	found := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "headless-shell"} {
		if path, err := exec.LookPath(name); err == nil {
			found = path
			break
		}
	}
	if found == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("there is no Chromium, which CI is to have installed")
		}
		t.Skip("there is no Chromium: install one to see the console tested, such as by apt-get install chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(found), chromedp.NoSandbox, chromedp.DisableGPU)
	ctx, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	return tab{TB: t, ctx: ctx}
}

// open opens a page and watches its console: an error is a failure.
func (b tab) open(url string) tab {
	b.Helper()
	ctx, end := chromedp.NewContext(b.ctx)
	b.Cleanup(end)
	ctx, late := context.WithTimeout(ctx, 5*time.Minute)
	b.Cleanup(late)
	p := tab{b.TB, ctx, new(atomic.Value)}
	p.expected.Store("")
	p.do("about:blank", chromedp.Navigate("about:blank")) // there is nothing to watch before
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for m, err := range chromedp.Console(ctx) {
			if err != nil {
				return
			}
			if part := p.expected.Load().(string); part != "" && strings.Contains(m.Text, part) {
				p.expected.Store("")
				continue
			}
			if m.Type == chromedp.ConsoleError || m.Type == chromedp.ConsoleException || m.Type == chromedp.ConsoleWarning {
				p.Errorf("console of %s: %s %s", url, m.Type, m.Text)
			}
		}
	}()
	b.Cleanup(func() { late(); end(); <-watched })
	p.do("the page", chromedp.Navigate(url))
	return p
}

func (b tab) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.Fatalf("%s: %v", what, err)
	}
}

// eval evaluates an expression in the page.
func eval[T any](b tab, js string) T {
	b.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](js))
	if err != nil {
		b.Fatalf("%s: %v", js, err)
	}
	return v
}

// until waits for an expression to be true.
func (b tab) until(what, js string) {
	b.Helper()
	deadline := time.Now().Add(2 * wait)
	for !eval[bool](b, js) {
		if time.Now().After(deadline) {
			b.Fatalf("waited in vain for %s; the page says:\n%s", what, eval[string](b, "document.body.innerText"))
		}
		b.do("a moment", chromedp.Sleep(50*time.Millisecond))
	}
}

// says is an expression: an element has a text in it.
func says(element, text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return `document.querySelector("` + element + `").textContent.includes(` + string(quoted) + `)`
}

// shoot looks at the page as wide as a desk and as a phone, in light and in dark: nothing
// may stick out. The pictures go to the directory that the environment names.
func (b tab) shoot(name string) {
	b.Helper()
	for _, width := range []int64{1280, 390} {
		for _, scheme := range []string{"light", "dark"} {
			b.do("the size", chromedp.EmulateViewport(width, 900))
			media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
			if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, media); err != nil {
				b.Fatal(err)
			}
			if wide := eval[int64](b, "document.documentElement.scrollWidth"); wide > width {
				b.Errorf("%s: the page is %d wide on a screen of %d", name, wide, width)
			}
			dir := os.Getenv("SCREENSHOTS")
			if dir == "" {
				continue
			}
			b.do("a moment", chromedp.Sleep(300*time.Millisecond)) // plots follow the size
			png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
			if err != nil {
				b.Fatal(err)
			}
			file := filepath.Join(dir, strings.Join([]string{name, map[int64]string{1280: "1280", 390: "390"}[width], scheme}, "-")+".png")
			if err := os.WriteFile(file, png, 0o600); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.do("the size", chromedp.EmulateViewport(1280, 900))
}

// evil would run a script if it were ever taken for markup.
const evil = `<img/src=x/onerror=pwned=1>`

// TestConsoleInABrowser looks at a fleet in trouble as an operator does, and takes charge.
func TestConsoleInABrowser(t *testing.T) {
	b := browse(t)
	s := shortened()
	s.cycle = false
	f, _ := launch(t, s)

	page := b.open(f.consoles[0])
	page.until("the stream", says("#stream", "live"))
	page.until("the members", says("#mode", "coordinated"))
	page.until("peace", says("#now", "nothing is restricted"))
	page.shoot("healthy")

	// An incident changes the page's state, and its end does.
	bad := f.backend("payments-a")
	bad.stall(time.Now(), 4*time.Second)
	page.until("the dimmer", says("#now", "dimmed to"))
	page.until("the reasons", says("#now .cause", "decided by the cluster")+" && "+says("#now .cause", "attempts failed"))
	page.until("the log", says("#decisions", "dimmed to"))
	page.shoot("incident")
	page.until("its end", says("#now", "nothing is restricted"))

	// An order goes from the form to another member, and is ended.
	set := func(field, value string) {
		page.do(field, chromedp.SetValue("#order [name="+field+"]", value))
	}
	eval[bool](page, `document.querySelector("#order [name=service]").value = "search", document.querySelector("#order").dispatchEvent(new Event("input", { bubbles: true }))`)
	set("kind", "force-open")
	set("reason", "to be seen "+evil)
	page.expected.Store("401 (Unauthorized)")
	page.do("send", chromedp.Click("#order-send"))
	page.until("a refusal without the token", says("#order-told", "bearer token"))
	page.do("the token", chromedp.SendKeys("#order [name=token]", f.operator.token))
	page.do("send", chromedp.Click("#order-send"))
	began := time.Now()
	poll(t, "the order at the other member", func() bool {
		for _, e := range f.members[1].cluster.Endpoints() {
			if e.Service == "search" && e.DecidedBy == "operator" && e.Phi == 0 {
				return true
			}
		}
		return false
	})
	took := time.Since(began)
	t.Logf("from the form to another member in %v", took)
	if late := max(f.members[0].cluster.Health().TickDelay, f.members[1].cluster.Health().TickDelay); took > 2*time.Second && late < 100*time.Millisecond {
		t.Errorf("it took %v", took)
	}
	page.until("the order", says("#overrides", "force-open")+" && "+says("#now", "force-open"))
	other := b.open(f.consoles[1])
	other.until("the order at the other console", says("#overrides", "to be seen "+evil)+" && "+says("#overrides", "you"))
	page.shoot("override")
	set("reason", "seen")
	page.do("end", chromedp.Click("#overrides button"))
	page.until("the order's end", says("#overrides", "None in force"))
	other.until("the order's end at the other console", says("#overrides", "None in force"))

	// What services, endpoints and members are named is text.
	intrude(t, f)
	page.until("the service", says("#services", evil))
	page.until("the member", says("#members", evil))
	if eval[bool](page, `"pwned" in window || document.querySelector("main img") !== null`) {
		t.Error("a name was taken for markup")
	}
	page.shoot("names")
}

// intrude has a service, an endpoint and a member with an evil name.
func intrude(t *testing.T, f *fleet) {
	t.Helper()
	g, err := failover.New(evil, failover.Config{Cluster: f.members[0].cluster, Endpoints: []failover.Endpoint{{Name: evil}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	if err := g.Do(t.Context(), func(context.Context, failover.Endpoint) error { return nil }); err != nil {
		t.Fatal(err)
	}
	c := memberlist.DefaultLANConfig()
	c.Name, c.BindAddr, c.BindPort, c.AdvertiseAddr, c.Label = evil, "127.0.0.1", 0, "127.0.0.1", "observe"
	c.DelegateProtocolMin, c.DelegateProtocolMax, c.DelegateProtocolVersion = 1, 1, 1
	c.LogOutput = io.Discard
	l, err := memberlist.Create(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Shutdown() })
	if _, err := l.Join([]string{f.members[0].cluster.Addr()}); err != nil {
		t.Fatal(err)
	}
}
