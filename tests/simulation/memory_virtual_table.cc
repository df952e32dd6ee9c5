// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "simulation/virtual_table.h"

namespace culvert::simulation {

namespace {

using fakes::MemoryTable;

class MemoryFlushing final : public Flushing {
 public:
  MemoryFlushing(MemoryTable& table, const FlushRequest& request) : slices_(table, request) {}
  bool step() override { return slices_.step(); }
  FlushResult& result() override { return slices_.result(); }

 private:
  MemoryTable::Slices slices_;
};

class BlockingTable final : public AggregateTable {
 public:
  BlockingTable(MemoryTable& table, std::function<void()> let_others)
      : table_(table), let_others_(std::move(let_others)) {}

  FlushResult flush(const FlushRequest& request) override {
    MemoryTable::Slices slices{table_, request};
    do {
      let_others_();
    } while (slices.step());
    return std::move(slices.result());
  }

  Result<std::vector<std::optional<Image>>> load(std::span<const ItemKey> keys) override {
    std::vector<std::optional<Image>> images;
    for (const ItemKey& key : keys) {
      let_others_();
      auto image = table_.load({&key, 1});
      if (!image) return image.error();
      images.push_back(std::move(image->front()));
    }
    return images;
  }

  Result<std::optional<Checkpoint>> load_checkpoint(const StreamPartition& where) override {
    let_others_();
    return table_.load_checkpoint(where);
  }

 private:
  MemoryTable& table_;
  std::function<void()> let_others_;
};

class MemoryVirtualTable final : public VirtualTable {
 public:
  explicit MemoryVirtualTable(MemoryTable::Shape shape) : table_(shape) {}

  void watch(TableObservers observers) override {
    table_.set_observer(std::move(observers.item));
    table_.set_checkpoint_observer(std::move(observers.checkpoint));
    table_.set_dead_letter_observer(std::move(observers.dead_letter));
  }
  void set_faults(fakes::FaultPolicy policy) override { table_.set_faults(std::move(policy)); }
  void fail_reads(int count) override { table_.fail_reads(count); }
  void release_delayed() override { table_.release_delayed(); }
  void write_checkpoint_first() override { table_.write_checkpoint_first(); }
  std::unique_ptr<Flushing> begin_flush(const FlushRequest& request) override {
    return std::make_unique<MemoryFlushing>(table_, request);
  }
  AggregateTable& at_once() override { return table_; }
  std::unique_ptr<AggregateTable> blocking(std::function<void()> let_others) override {
    return std::make_unique<BlockingTable>(table_, std::move(let_others));
  }
  TableReader& reader() override { return table_; }

 private:
  MemoryTable table_;
};

}  // namespace

std::unique_ptr<VirtualTable> memory_virtual_table(MemoryTable::Shape shape) {
  return std::make_unique<MemoryVirtualTable>(shape);
}

}  // namespace culvert::simulation
