package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
)

// operator is who may place overrides.
type operator struct {
	public ed25519.PublicKey
	key    ed25519.PrivateKey
	token  string // by which a console knows them
}

func newOperator(file string) (*operator, error) {
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	o := &operator{public, key, rand.Text()}
	if file == "" {
		return o, nil
	}
	return o, o.save(file)
}

// explain tells how an operator overrules the cluster.
func (o *operator) explain(f *fleet) {
	f.note("who places overrides there needs the token %s", o.token)
	if f.key == "" {
		return
	}
	file, err := filepath.Abs(f.key)
	if err != nil {
		file = f.key
	}
	f.note("or, from the root of the repository: MURMURCTL_TOKEN=%s go run ./gossip/console/murmurctl place -console %s -key %s -cluster observe "+
		"-kind force-open -service payments -endpoint payments-b -for 1m -reason \"to see it\"", o.token, f.consoles[0], file)
}

// save writes the private key to a file, as murmurctl reads it.
func (o *operator) save(file string) error {
	der, err := x509.MarshalPKCS8PrivateKey(o.key)
	if err != nil {
		return err
	}
	w, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("-key: %w", err)
	}
	if err := pem.Encode(w, &pem.Block{Type: "PRIVATE KEY", Bytes: der}); err != nil {
		_ = w.Close()
		return fmt.Errorf("-key: %w; %s is incomplete", err, file)
	}
	return w.Close()
}
