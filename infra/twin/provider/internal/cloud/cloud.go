// SPDX-License-Identifier: Apache-2.0

// Package cloud keeps what has been applied: one JSON file per account in one folder, behind one lock.
//
// Two roots, and any number of provider processes, see the same world through it.  The files are meant to be read by
// people and by the twin, and to be edited by tests that play somebody who changes things by hand (drift).
package cloud

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
)

// Attrs are a record's attributes in plain JSON values.
type Attrs = map[string]any

// Record is one thing that exists in an account.
type Record struct {
	Type       string `json:"type"`
	ID         string `json:"id"`
	Region     string `json:"region"`
	Serial     int    `json:"serial"` // order of creation within the account
	Attributes Attrs  `json:"attributes"`
	Hidden     Attrs  `json:"hidden,omitempty"` // what the service knows and no resource shows: brokers, addresses
}

// Account is one file.
type Account struct {
	ID      string             `json:"account"`
	Serial  int                `json:"serial"`
	Records map[string]*Record `json:"records"`          // by "type/id"
	Buried  map[string]string  `json:"buried,omitempty"` // "type/name" that is being deleted -> why the name is taken
}

// World is the view of one locked transaction.
type World struct {
	dir      string
	accounts map[string]*Account
}

// Store is a folder.
type Store struct{ dir string }

// Open makes the folder if need be.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("cloud folder: %w", err)
	}
	return &Store{dir: dir}, nil
}

// Update runs the function under the lock and keeps what it changed, unless it fails: then nothing is kept.
func (s *Store) Update(change func(*World) error) error {
	return s.locked(syscall.LOCK_EX, func(w *World) error {
		if err := change(w); err != nil {
			return err
		}
		return w.save()
	})
}

// View runs the function under a shared lock; changes are not kept.
func (s *Store) View(look func(*World) error) error {
	return s.locked(syscall.LOCK_SH, look)
}

func (s *Store) locked(how int, run func(*World) error) (err error) {
	lock, err := os.OpenFile(filepath.Join(s.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return fmt.Errorf("cloud lock: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }() // closing releases the lock
	if err := syscall.Flock(int(lock.Fd()), how); err != nil {
		return fmt.Errorf("cloud lock: %w", err)
	}
	return run(&World{dir: s.dir, accounts: map[string]*Account{}})
}

func (w *World) file(account string) string { return filepath.Join(w.dir, account+".json") }

// Account reads an account's file, or starts an empty account.
func (w *World) Account(id string) (*Account, error) {
	if a, ok := w.accounts[id]; ok {
		return a, nil
	}
	a := &Account{ID: id, Records: map[string]*Record{}, Buried: map[string]string{}}
	data, err := os.ReadFile(w.file(id))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("account %s: %w", id, err)
	default:
		if err := json.Unmarshal(data, a); err != nil {
			return nil, fmt.Errorf("account %s: %s is not what this provider wrote: %w", id, w.file(id), err)
		}
		if a.Buried == nil {
			a.Buried = map[string]string{}
		}
	}
	w.accounts[id] = a
	return a, nil
}

// Accounts reads all accounts there are, by id.
func (w *World) Accounts() ([]*Account, error) {
	files, err := filepath.Glob(filepath.Join(w.dir, "*.json"))
	if err != nil {
		return nil, err
	}
	ids := map[string]bool{}
	for id := range w.accounts {
		ids[id] = true
	}
	for _, f := range files {
		ids[strings.TrimSuffix(filepath.Base(f), ".json")] = true
	}
	var result []*Account
	for id := range ids {
		a, err := w.Account(id)
		if err != nil {
			return nil, err
		}
		result = append(result, a)
	}
	sort.Slice(result, func(i, j int) bool { return result[i].ID < result[j].ID })
	return result, nil
}

func (w *World) save() error {
	for id, a := range w.accounts {
		data, err := json.MarshalIndent(a, "", " ")
		if err != nil {
			return fmt.Errorf("account %s: %w", id, err)
		}
		scratch := w.file(id) + ".new"
		if err := os.WriteFile(scratch, append(data, '\n'), 0o600); err != nil {
			return fmt.Errorf("account %s: %w", id, err)
		}
		if err := os.Rename(scratch, w.file(id)); err != nil {
			return fmt.Errorf("account %s: %w", id, err)
		}
	}
	return nil
}

// Get finds a record by type and id.
func (a *Account) Get(typ, id string) *Record { return a.Records[typ+"/"+id] }

// Put adds a record; an id that is taken is an error, since ids are made unique before.
func (a *Account) Put(r *Record) error {
	if a.Get(r.Type, r.ID) != nil {
		return fmt.Errorf("%s %s already exists", r.Type, r.ID)
	}
	a.Serial++
	r.Serial = a.Serial
	a.Records[r.Type+"/"+r.ID] = r
	return nil
}

// Remove forgets a record.
func (a *Account) Remove(typ, id string) { delete(a.Records, typ+"/"+id) }

// OfType lists the records of a type in the order of their creation.
func (a *Account) OfType(typ string) []*Record {
	var result []*Record
	for _, r := range a.Records {
		if r.Type == typ {
			result = append(result, r)
		}
	}
	sort.Slice(result, func(i, j int) bool { return result[i].Serial < result[j].Serial })
	return result
}

// All lists every record in the order of creation.
func (a *Account) All() []*Record {
	result := make([]*Record, 0, len(a.Records))
	for _, r := range a.Records {
		result = append(result, r)
	}
	sort.Slice(result, func(i, j int) bool { return result[i].Serial < result[j].Serial })
	return result
}

// Text is a record's attribute, or "".
func (r *Record) Text(name string) string { s, _ := r.Attributes[name].(string); return s }
