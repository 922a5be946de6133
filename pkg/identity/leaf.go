package identity

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Leaf is an issued certificate with its key.
type Leaf struct {
	Key *ecdsa.PrivateKey
	// DER is the certificate.
	DER []byte
}

// CertificatePEM is the certificate as PEM.
func (l Leaf) CertificatePEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: l.DER})
}

// KeyPEM is the key as PEM, in the form PKCS #8 that every platform reads.
func (l Leaf) KeyPEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(l.Key)
	if err != nil {
		return nil, fmt.Errorf("identity: encode the key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// Write stores certificate and key in a folder as <name>.pem and <name>.key, the key readable by its owner only. The
// key goes first: a process that looks between the two finds a pair that does not fit and keeps the one it has.
func (l Leaf) Write(dir, name string) (Files, error) {
	files := Files{Certificate: filepath.Join(dir, name+".pem"), Key: filepath.Join(dir, name+".key"), Roots: filepath.Join(dir, RootsFile)}
	key, err := l.KeyPEM()
	if err != nil {
		return Files{}, err
	}
	if err := writeWhole(files.Key, key, 0o600); err != nil {
		return Files{}, err
	}
	return files, writeWhole(files.Certificate, l.CertificatePEM(), 0o644)
}

// writeWhole replaces a file in one step, so that nobody reads half of it.
func writeWhole(path string, content []byte, mode fs.FileMode) error {
	temporary, err := writeBeside(path, content, mode)
	if err != nil {
		return fmt.Errorf("identity: write %s: %w", path, err)
	}
	return os.Rename(temporary, path)
}

// linkNew creates a file in one step; where there is one already it stays.
func linkNew(path string, content []byte) error {
	temporary, err := writeBeside(path, content, 0o600)
	if err != nil {
		return err
	}
	defer os.Remove(temporary)
	if err := os.Link(temporary, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

func writeBeside(path string, content []byte, mode fs.FileMode) (string, error) {
	file, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return "", err
	}
	_, err = file.Write(content)
	err = errors.Join(err, file.Chmod(mode), file.Sync(), file.Close())
	if err != nil {
		return "", errors.Join(err, os.Remove(file.Name()))
	}
	return file.Name(), nil
}
