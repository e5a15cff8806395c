// Murmurctl places operators' overrides, by way of the console of any member.
//
//	murmurctl keygen -out operator.pem
//	murmurctl place -console http://10.0.0.7:6060/debug/murmuration/ -key operator.pem \
//		-cluster shop -kind force-open -service payments -endpoint eu -for 30m -reason "deploy 4711 corrupts carts"
//	murmurctl list -console http://10.0.0.7:6060/debug/murmuration/
//	murmurctl revoke -console http://10.0.0.7:6060/debug/murmuration/ -key operator.pem -cluster shop -id 1f… -reason "rolled back"
//
// An override is signed here, with a key that no member has: a member that is broken into
// can place none. The public key, which keygen and public print, belongs in
// gossip.Config.Operators of all members. The console asks who is there as its
// console.Options.Authorize has it; a bearer token is taken from the environment variable
// MURMURCTL_TOKEN.
//
// The exit status is 0 on success, 1 on failure and 2 on wrong usage.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"os/user"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/murmuration-go/murmuration/gossip"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// errUsage is told with the flags there are.
var errUsage = errors.New("wrong usage")

type command struct {
	name, what string
	run        func(ctx context.Context, args []string, out, errs io.Writer) error
}

var commands = []command{
	{"keygen", "make an operator's key and print the public one", keygen},
	{"public", "print the public key of a private one", public},
	{"place", "sign an override and put it in force", place},
	{"list", "list the overrides in force", listAll},
	{"revoke", "end an override", revoke},
}

func run(ctx context.Context, args []string, out, errs io.Writer) int {
	if len(args) > 0 {
		for _, c := range commands {
			if c.name != args[0] {
				continue
			}
			err := c.run(ctx, args[1:], out, errs)
			switch {
			case err == nil, errors.Is(err, flag.ErrHelp):
				return 0
			case errors.Is(err, errUsage):
				return 2
			}
			fmt.Fprintf(errs, "murmurctl %s: %v\n", c.name, err)
			return 1
		}
	}
	fmt.Fprintln(errs, "usage: murmurctl COMMAND [flags]; murmurctl COMMAND -h lists them")
	for _, c := range commands {
		fmt.Fprintf(errs, "  %-8s %s\n", c.name, c.what)
	}
	return 2
}

// flags is a flag set that knows which flags must be given.
type flags struct {
	*flag.FlagSet
	errs io.Writer
	must []string
}

func newFlags(name string, errs io.Writer) *flags {
	f := &flags{FlagSet: flag.NewFlagSet(name, flag.ContinueOnError), errs: errs}
	f.SetOutput(errs)
	return f
}

// need is a flag that must be given.
func (f *flags) need(name, what string) *string {
	f.must = append(f.must, name)
	return f.String(name, "", what)
}

func (f *flags) parse(args []string) error {
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return errUsage
	}
	var missing []string
	for _, name := range f.must {
		if f.Lookup(name).Value.String() == "" {
			missing = append(missing, "-"+name)
		}
	}
	switch {
	case len(missing) > 0:
		fmt.Fprintf(f.errs, "murmurctl %s: give %s\n", f.Name(), strings.Join(missing, ", "))
		return errUsage
	case f.NArg() > 0:
		fmt.Fprintf(f.errs, "murmurctl %s: what is %q?\n", f.Name(), f.Arg(0))
		return errUsage
	}
	return nil
}

// login is the default author.
func login() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}

func place(ctx context.Context, args []string, out, errs io.Writer) error {
	f := newFlags("place", errs)
	at := f.need("console", "URL of a member's console")
	keyFile := f.need("key", "file of the operator's private key")
	cluster := f.need("cluster", "the cluster's name, which is signed: a console of another one must not get an order for it")
	kind := f.need("kind", "freeze, force-closed, force-open, drain, prefer or retries-off")
	service := f.need("service", "the service's name")
	endpoint := f.String("endpoint", "", "the endpoint's name; none: all of the service")
	life := f.Duration("for", 30*time.Minute, "how long, at most 24h")
	author := f.String("author", login(), "who orders it")
	reason := f.need("reason", "why, for whoever finds it")
	if err := f.parse(args); err != nil {
		return err
	}
	key, err := privateKey(*keyFile)
	if err != nil {
		return err
	}
	o := gossip.Override{Service: *service, Endpoint: *endpoint, Author: *author, Reason: *reason}
	if err := o.Kind.UnmarshalText([]byte(*kind)); err != nil {
		return err
	}
	o.Issued = time.Now().UTC()
	o.Expires = o.Issued.Add(*life)
	r := remote{at: *at}
	state, err := r.list(ctx)
	if err != nil {
		return err
	}
	if state.Cluster != *cluster {
		return fmt.Errorf("the console is of cluster %q, and -cluster is %q", state.Cluster, *cluster)
	}
	signed, err := gossip.SignOverride(key, *cluster, o)
	if err != nil {
		return err
	}
	o, note, err := r.place(ctx, signed)
	if err != nil {
		return err
	}
	if note != "" {
		fmt.Fprintln(errs, "note:", note)
	}
	fmt.Fprintf(out, "in force: %s of %s until %s, ID %s\n", o.Kind, scope(o), o.Expires.Local().Format(time.DateTime), o.ID)
	return nil
}

func scope(o gossip.Override) string {
	if o.Endpoint == "" {
		return o.Service
	}
	return o.Service + "/" + o.Endpoint
}

func listAll(ctx context.Context, args []string, out, errs io.Writer) error {
	f := newFlags("list", errs)
	at := f.need("console", "URL of a member's console")
	if err := f.parse(args); err != nil {
		return err
	}
	state, err := (&remote{at: *at}).list(ctx)
	if err != nil {
		return err
	}
	if len(state.Overrides) == 0 {
		fmt.Fprintf(out, "no override is in force in cluster %s\n", state.Cluster)
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tKIND\tSCOPE\tAUTHOR\tENDS IN\tREASON")
	for _, o := range state.Overrides {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", o.ID, o.Kind, scope(o), o.Author, time.Until(o.Expires).Round(time.Second), o.Reason)
	}
	return w.Flush()
}

func revoke(ctx context.Context, args []string, out, errs io.Writer) error {
	f := newFlags("revoke", errs)
	at := f.need("console", "URL of a member's console")
	keyFile := f.need("key", "file of the operator's private key")
	cluster := f.need("cluster", "the cluster's name, which is signed")
	id := f.need("id", "the override's ID, or its first digits")
	author := f.String("author", login(), "who revokes it")
	reason := f.need("reason", "why")
	if err := f.parse(args); err != nil {
		return err
	}
	key, err := privateKey(*keyFile)
	if err != nil {
		return err
	}
	r := remote{at: *at}
	state, err := r.list(ctx)
	if err != nil {
		return err
	}
	if state.Cluster != *cluster {
		return fmt.Errorf("the console is of cluster %q, and -cluster is %q", state.Cluster, *cluster)
	}
	o, err := state.find(*id)
	if err != nil {
		return err
	}
	signed, err := gossip.SignOverride(key, *cluster, o.Revocation(*author, *reason, time.Now().UTC().Truncate(time.Second)))
	if err != nil {
		return err
	}
	if _, _, err := r.place(ctx, signed); err != nil {
		return err
	}
	fmt.Fprintf(out, "revoked: %s of %s, ID %s\n", o.Kind, scope(o), o.ID)
	return nil
}
