// Package console is a status page of a cluster as one of its members sees it, and the
// same as JSON: what is restricted, who decided that, on what evidence and how long ago.
//
//	mux.Handle("/debug/murmuration/", console.Handler(cluster, console.Options{}))
//
// Pages of other sites cannot make it change anything, but a browser that is led to take
// their name for its address could read it: an internal listener with names of its own, or
// a check of the Host header before it, keeps it from that.
//
// It works below any path, with or without http.StripPrefix; the path ends in a slash.
// It shows names and addresses of services and members to whoever reaches it, and no
// keys: mount it on an internal listener. A nil or closed cluster is shown as such.
//
// # JSON
//
// All is read by GET, below the path of the page. Times are RFC 3339, durations whole
// nanoseconds, rates per second, and shares 0 to 1. Fields may be added.
//
//	api/v1/snapshot    all of the page:
//	    seq            grows by one with each snapshot of this handler
//	    at             when it was made: at most a second ago
//	    cluster, zone  as in gossip.Config
//	    health         gossip.Health
//	    members        at most 512 of gossip.Member; members_left_out: how many more there are
//	    endpoints      at most 512 of what is below, those in trouble first; endpoints_left_out
//	    decisions      the last 200 of gossip.Decision, the newest first
//	    budgets        of gossip.Budget
//	    overrides      of gossip.Override, those in force
//	    writable       overrides may be placed here; signs: also such as are not signed
//	    history_without  endpoints that have no history, being beyond the first 256
//	api/v1/health      gossip.Health
//	api/v1/members     all of gossip.Member
//	api/v1/endpoints   all of {gossip.Endpoint, load, last, verdicts}: load is the last second as
//	                   {phi, wanted, ok, failed, retries, demand}, see gossip.Point, or null;
//	                   last is the last gossip.Decision about it, or null; verdicts are of
//	                   gossip.Verdict, what each steward says
//	api/v1/decisions   the last 200 of gossip.Decision, or with ?service= all that are kept of it
//	api/v1/history     {without, series}: of each endpoint {service, endpoint, at, phi, wanted,
//	                   ok, failed, retries, demand}, each a column with a number a second; at is
//	                   in Unix milliseconds. With ?service= only that one's, with ?since= (Unix
//	                   milliseconds) only what is newer.
//	api/v1/overrides   {cluster, overrides, writable, signs}; see below
//	api/v1/stream      Server-Sent Events: event "snapshot", each second, with the above
//
// A stream has at most 16 viewers, and ends when the viewer goes, takes longer than 5 s
// to take an event in, or the http.Server shuts down. All viewers see the same
// snapshots, which are made only while somebody looks.
//
// # Overrides
//
// A console is read-only unless Options.Authorize says who may change anything. Then
// overrides are placed by POST to api/v1/overrides, of application/json: either signed by
// an operator, {"signed": base64 of what gossip.SignOverride returns}, which is what the
// command murmurctl beside this package sends; or, with an Options.Signer, what is to be
// signed here, {kind, service, endpoint, reason, seconds}, or {revoke: ID, reason} to end
// one. The answer is 201 with {override, note}, or {error} with 400 (not as it should be), 401
// (not authorized), 403 (read-only, from another origin, or not signed), 404 (nothing to
// revoke), 413, 415, or 422 (refused by the member: see gossip.OverrideRefusal). Requests of
// pages of other origins are refused, and every request is logged with its author.
package console
