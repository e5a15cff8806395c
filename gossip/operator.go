package gossip

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// ParseOperator reads the public key of an operator, for Config.Operators: its 32 bytes in
// base64, as murmurctl prints them, or a PEM block of PKIX, as openssl writes it.
func ParseOperator(s string) (ed25519.PublicKey, error) {
	s = strings.TrimSpace(s)
	if block, _ := pem.Decode([]byte(s)); block != nil {
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("gossip: operator's public key: %w", err)
		}
		if k, ok := key.(ed25519.PublicKey); ok {
			return k, nil
		}
		return nil, fmt.Errorf("gossip: operator's public key is a %T; use ed25519", key)
	}
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("gossip: operator's public key is not %d bytes in base64, nor PEM", ed25519.PublicKeySize)
	}
	return b, nil
}

// ParseOperatorPrivate reads the private key of an operator, to be kept from everybody
// else: a PEM block of PKCS #8, as murmurctl and openssl write it.
func ParseOperatorPrivate(pemText []byte) (ed25519.PrivateKey, error) {
	block, _ := pem.Decode(pemText)
	if block == nil {
		return nil, errors.New("gossip: operator's private key is not PEM; murmurctl keygen makes one")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("gossip: operator's private key is not PKCS #8") // the cause may quote it
	}
	if k, ok := key.(ed25519.PrivateKey); ok {
		return k, nil
	}
	return nil, fmt.Errorf("gossip: operator's private key is a %T; use ed25519", key)
}
