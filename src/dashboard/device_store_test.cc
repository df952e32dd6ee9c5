// SPDX-License-Identifier: Apache-2.0
#include "dashboard/device_store.h"

#include <gtest/gtest.h>

namespace culvert::dashboard {
namespace {

DeviceStore::Put put_of(std::int64_t device, std::int64_t start, std::initializer_list<std::int64_t> units,
                        std::int64_t now = 0, std::int64_t flush = 0) {
  DeviceStore::Put put{DeviceId{device}, {EventTime{start}, EventTime{start + 10}, {}}, std::nullopt, now, flush};
  for (const std::int64_t unit : units) put.window.aggregate.fold(Micro{unit * kMicroPerUnit});
  put.window.partition = PartitionId{0};
  return put;
}

TEST(DeviceStoreTest, LastValueIsTheMeanOfWhatCameLast) {
  DeviceStore store;
  store.put(put_of(1, 0, {10, 20}, 100, 1));
  EXPECT_EQ(store.detail(DeviceId{1})->row.latest, Micro{15 * kMicroPerUnit});
  store.put(put_of(1, 0, {10, 20, 40, 50}, 200, 2));
  const auto detail = store.detail(DeviceId{1});
  EXPECT_EQ(detail->row.latest, Micro{45 * kMicroPerUnit});
  EXPECT_EQ(detail->row.heard_ms, 200);
  EXPECT_EQ(detail->row.current.aggregate.count, 4);
  ASSERT_EQ(detail->tail.size(), 2U);
  EXPECT_EQ(detail->tail[1].value, Micro{45 * kMicroPerUnit});
}

TEST(DeviceStoreTest, OverlappingWindowsOfOneFlushMakeOneTailPoint) {
  DeviceStore store;
  for (const std::int64_t start : {0, 5, 10}) store.put(put_of(1, start, {7}, 100, 1));
  EXPECT_EQ(store.detail(DeviceId{1})->tail.size(), 1U);
  EXPECT_EQ(store.detail(DeviceId{1})->windows.size(), 3U);
}

TEST(DeviceStoreTest, ClearedItKnowsNothingAndBeginsAnew) {
  DeviceStore store;
  store.put(put_of(1, 0, {10}, 100, 1));
  store.put(put_of(2, 0, {10}, 100, 1));
  store.close_until(PartitionId{0}, EventTime{1'000});
  store.clear();
  EXPECT_EQ(store.devices(), 0U);
  EXPECT_EQ(store.windows(), 0U);
  EXPECT_FALSE(store.detail(DeviceId{1}));
  store.put(put_of(2, 0, {10}, 200, 2));
  EXPECT_EQ(store.page({}).devices, 1U);
  EXPECT_FALSE(store.detail(DeviceId{2})->windows[0].closed) << "the watermark was the other table's";
}

TEST(DeviceStoreTest, SameWindowAgainIsNoNews) {
  DeviceStore store;
  store.put(put_of(1, 0, {10}, 100, 1));
  store.put(put_of(1, 0, {10}, 200, 2));
  EXPECT_EQ(store.detail(DeviceId{1})->row.heard_ms, 100);
  EXPECT_EQ(store.detail(DeviceId{1})->tail.size(), 1U);
}

TEST(DeviceStoreTest, WindowClosesByItsPartitionsWatermarkAndAChangeAfterwardsIsACorrection) {
  DeviceStore store;
  store.put(put_of(1, 0, {10}));
  store.put(put_of(2, 0, {10}));
  EXPECT_FALSE(store.detail(DeviceId{1})->windows[0].closed);
  store.close_until(PartitionId{1}, EventTime{1'000});
  EXPECT_FALSE(store.detail(DeviceId{1})->windows[0].closed);
  store.close_until(PartitionId{0}, EventTime{9});
  EXPECT_FALSE(store.detail(DeviceId{1})->windows[0].closed);
  store.put(put_of(1, 0, {10, 11}));
  store.close_until(PartitionId{0}, EventTime{10});
  EXPECT_TRUE(store.detail(DeviceId{1})->windows[0].closed);
  EXPECT_FALSE(store.detail(DeviceId{1})->windows[0].corrected);
  store.put(put_of(1, 0, {10, 11, 12}));
  EXPECT_TRUE(store.detail(DeviceId{1})->windows[0].corrected);
  EXPECT_FALSE(store.detail(DeviceId{2})->windows[0].corrected);
}

// Each page sorts anew, which ThreadSanitizer makes very slow.
#ifdef __SANITIZE_THREAD__
constexpr std::int64_t kDevices = 1'000;
#else
constexpr std::int64_t kDevices = 10'000;
#endif

TEST(DeviceStoreTest, PagesCoverManyDevicesOnceInEveryOrder) {
  DeviceStore store;
  for (std::int64_t device = 0; device < kDevices; ++device) {
    store.put(put_of(device, 0, {device % 100}, device % 7, 1));
  }
  for (const DeviceOrder order : {DeviceOrder::kDevice, DeviceOrder::kLatest, DeviceOrder::kCount, DeviceOrder::kMean,
                                  DeviceOrder::kMin, DeviceOrder::kMax, DeviceOrder::kHeard}) {
    for (const bool descending : {false, true}) {
      std::vector<bool> seen(kDevices);
      std::optional<DeviceRow> last;
      for (std::size_t page = 1; page <= kDevices / 200; ++page) {
        const DevicePage got = store.page({"", order, descending, page, 200});
        EXPECT_EQ(got.found, std::size_t{kDevices});
        EXPECT_EQ(got.page, page);
        ASSERT_EQ(got.rows.size(), 200U);
        for (const DeviceRow& row : got.rows) {
          const auto number = static_cast<std::size_t>(row.device.ref().number());
          EXPECT_FALSE(seen[number]) << number;
          seen[number] = true;
          if (last && order == DeviceOrder::kDevice) {
            EXPECT_EQ(row.device < last->device, descending);
          }
          if (last && order == DeviceOrder::kLatest && *row.latest != *last->latest) {
            EXPECT_EQ(*row.latest < *last->latest, descending);
          }
          last = row;
        }
      }
    }
  }
}

TEST(DeviceStoreTest, SearchIgnoresCaseAndAPageBeyondTheEndIsTheLastOne) {
  DeviceStore store;
  for (const char* name : {"Pump-1", "pump-2", "valve"}) {
    auto put = put_of(0, 0, {1});
    put.device = DeviceId{std::string_view(name)};
    store.put(put);
  }
  const DevicePage page = store.page({"PUMP", DeviceOrder::kDevice, false, 99, 1});
  EXPECT_EQ(page.devices, 3U);
  EXPECT_EQ(page.found, 2U);
  EXPECT_EQ(page.page, 2U);
  ASSERT_EQ(page.rows.size(), 1U);
  EXPECT_EQ(page.rows[0].device.to_text(), "pump-2");
  EXPECT_TRUE(store.page({"nothing", DeviceOrder::kDevice, false, 1, 10}).rows.empty());
}

TEST(DeviceStoreTest, StaysWithinItsLimitsWhateverDevicesCome) {
  DeviceStore store({.windows_most = 1'000, .devices_most = 100});
  for (std::int64_t i = 0; i < 20'000; ++i) {
    store.put(put_of(i < 10'000 ? i % 10 : i % 5'000, i * 10, {1}, i, i));
    ASSERT_LE(store.devices(), 100U);
    ASSERT_LE(store.windows(), 1'300U) << i;
  }
  // Those that were heard of last are there.
  EXPECT_TRUE(store.detail(DeviceId{19'999 % 5'000}).has_value());
  EXPECT_FALSE(store.detail(DeviceId{10'000 % 5'000}).has_value());
}

TEST(DeviceStoreTest, WindowOlderThanAllThatAreKeptIsLeftOut) {
  DeviceStore store({.windows_most = 4, .devices_most = 10});
  for (std::int64_t start = 100; start < 200; start += 10) store.put(put_of(1, start, {1}));
  store.put(put_of(1, 0, {1}));
  const auto detail = store.detail(DeviceId{1});
  ASSERT_EQ(detail->windows.size(), 4U);
  EXPECT_EQ(detail->windows.front().start, EventTime{160});
}

}  // namespace
}  // namespace culvert::dashboard
