#pragma once

#include <atomic>
#include <utility>

namespace millrace {

/**
 * A value that lives as long as its last holder, on whichever thread. std::shared_ptr would do, but compiled by a
 * recent g++ it asks for a glibc newer than the oldest one that Node runs on.
 */
template <typename Value>
class Counted {
 public:
  Counted() = default;
  Counted(const Counted& other) : cell_(other.cell_) {
    if (cell_ != nullptr) cell_->holders.fetch_add(1, std::memory_order_relaxed);
  }
  Counted(Counted&& other) noexcept : cell_(std::exchange(other.cell_, nullptr)) {}
  Counted& operator=(Counted other) noexcept {
    std::swap(cell_, other.cell_);
    return *this;
  }
  ~Counted() { Reset(); }

  template <typename... Arguments>
  static Counted Make(Arguments&&... arguments) {
    Counted made;
    made.cell_ = new Cell{{1}, Value(std::forward<Arguments>(arguments)...)};
    return made;
  }

  void Reset() {
    Cell* cell = std::exchange(cell_, nullptr);
    if (cell != nullptr && cell->holders.fetch_sub(1, std::memory_order_acq_rel) == 1) delete cell;
  }

  explicit operator bool() const { return cell_ != nullptr; }
  Value* operator->() const { return &cell_->value; }

 private:
  struct Cell {
    std::atomic<int> holders;
    Value value;
  };

  Cell* cell_ = nullptr;
};

}  // namespace millrace
