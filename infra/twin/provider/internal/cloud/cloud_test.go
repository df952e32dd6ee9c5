// SPDX-License-Identifier: Apache-2.0

package cloud

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func open(t *testing.T) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "cloud"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func put(s *Store, account, id string) error {
	return s.Update(func(w *World) error {
		a, err := w.Account(account)
		if err != nil {
			return err
		}
		return a.Put(&Record{Type: "aws_vpc", ID: id, Attributes: Attrs{"id": id}})
	})
}

func TestConcurrentWritersLoseNothing(t *testing.T) {
	s := open(t)
	var wg sync.WaitGroup
	failures := make(chan error, 40)
	for i := range 40 {
		wg.Go(func() { failures <- put(s, "111111111111", fmt.Sprintf("vpc-%d", i)) })
	}
	wg.Wait()
	close(failures)
	for err := range failures {
		if err != nil {
			t.Fatal(err)
		}
	}
	err := s.View(func(w *World) error {
		a, err := w.Account("111111111111")
		if err == nil && (len(a.OfType("aws_vpc")) != 40 || a.Serial != 40) {
			err = fmt.Errorf("%d records, serial %d", len(a.Records), a.Serial)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAFailedChangeKeepsNothing(t *testing.T) {
	s := open(t)
	broken := errors.New("broken")
	err := s.Update(func(w *World) error {
		a, _ := w.Account("111111111111")
		_ = a.Put(&Record{Type: "aws_vpc", ID: "vpc-1"})
		return broken
	})
	if !errors.Is(err, broken) {
		t.Fatalf("got %v", err)
	}
	_ = s.View(func(w *World) error {
		all, _ := w.Accounts()
		if len(all) != 0 {
			t.Fatalf("an account was written: %v", all)
		}
		return nil
	})
}

func TestTheSameIdTwiceIsAnError(t *testing.T) {
	s := open(t)
	if err := put(s, "1", "vpc-1"); err != nil {
		t.Fatal(err)
	}
	if err := put(s, "1", "vpc-1"); err == nil {
		t.Fatal("no error")
	}
	if err := put(s, "2", "vpc-1"); err != nil {
		t.Fatalf("another account must not collide: %v", err)
	}
}

func TestADamagedFileIsAnErrorThatNamesIt(t *testing.T) {
	s := open(t)
	if err := os.WriteFile(filepath.Join(s.dir, "1.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := put(s, "1", "vpc-1"); err == nil || !strings.Contains(err.Error(), "1.json") {
		t.Fatalf("got %v", err)
	}
}
