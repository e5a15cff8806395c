package wire

import "github.com/murmuration-go/murmuration/internal/coord"

// MaxLoan is the most that one loan can be: one token.
const MaxLoan = coord.TokenUnit

// Loan is what a member asks another one for, and the answer.
type Loan struct {
	Origin  Origin
	Service string
	// Nonce is drawn anew for each member that is asked, and comes back in the
	// answer: what was not asked for credits nothing.
	Nonce uint64
	// Amount is what is lent, in units of coord.TokenUnit, 0 to MaxLoan. Asks
	// have none.
	Amount uint64
}

// AppendAsk appends an encoded request for a loan to dst; l.Amount is not told. On
// error, which is ErrBadName, it returns dst as it was.
func AppendAsk(dst []byte, l *Loan) ([]byte, error) { return appendLoan(dst, KindAsk, l) }

// AppendLoan appends an encoded answer to dst. Its errors are ErrBadName and
// ErrBadValue.
func AppendLoan(dst []byte, l *Loan) ([]byte, error) { return appendLoan(dst, KindLoan, l) }

func appendLoan(dst []byte, kind Kind, l *Loan) ([]byte, error) {
	var p packer
	if err := p.begin(dst, header{kind: kind, origin: l.Origin}); err != nil {
		return dst, err
	}
	var w writer
	w.name("service", l.Service, coord.MaxName)
	w.number(l.Nonce)
	if kind == KindLoan {
		w.upTo("amount", l.Amount, MaxLoan)
	}
	if w.err != nil {
		return dst, w.err
	}
	return appendSection(p.msg, tagLoan, w.b), nil
}

// loanDecoder reads asks and loans.
type loanDecoder struct {
	envelope
	kind Kind
	loan Loan
}

func (d *loanDecoder) message(b []byte) *Error {
	err := d.envelope.message(b, func(tag uint64, repeated bool, payload []byte) (bool, *Error) {
		switch {
		case tag != tagLoan:
			return false, nil
		case repeated:
			return true, errorf(NonCanonical, "two loans")
		}
		r := reader{b: payload}
		d.loan.Service = r.name("service", coord.MaxName)
		d.loan.Nonce = r.number("nonce")
		if d.kind == KindLoan {
			d.loan.Amount = r.upTo("amount", MaxLoan)
		}
		d.skipped = d.skipped || len(r.b) > 0
		return true, r.err
	})
	switch {
	case err != nil:
		return err
	case d.loan.Service == "":
		return errorf(Missing, "loan")
	}
	d.loan.Origin = d.origin
	return nil
}
