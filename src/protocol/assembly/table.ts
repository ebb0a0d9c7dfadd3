import { hash0, hash1 } from './block-hash';
import {
  ENTRIES, ENTRY_BYTES, ENTRY_COUNT, ENTRY_LENGTH, ENTRY_NEXT, ENTRY_SERIES, ENTRY_TENANT, LAST_ENTRY, OF_NONE, SLOT_MASK,
  SLOTS,
} from './layout';

/**
 * The table from a hash to what it is the hash of: label blocks of 1.0, refs of 2.0 (both of a tenant, and both a
 * series), labels of 1.0, and texts of symbols. Which of these, and of which tenant, is the space of an entry; nothing is found in
 * another space than its own.
 */

/** Fills the slots from the entries; they must be zero. */
export function fillSlots(): void {
  const count = load<u32>(ENTRY_COUNT);
  for (let index: u32 = 1; index < count; index++) {
    const entry = entryAt(index);
    const space = load<u32>(entry, ENTRY_TENANT);
    if (space != OF_NONE) place(index, load<u64>(entry), space);
  }
}

/** The entry in this space of what was hashed last, which has this length; 0 when there is none. */
export function findEntry(length: u32, space: u32): u32 {
  const mask = load<u32>(SLOT_MASK);
  const slots = load<u32>(SLOTS);
  let slot = slotOf(hash0, space) & mask;
  while (true) {
    const index = load<u32>(slots + (slot << 2));
    if (index == 0) return 0;
    const entry = entryAt(index);
    if (
      hasHash(entry) &&
      load<u32>(entry, ENTRY_LENGTH) == length &&
      load<u32>(entry, ENTRY_TENANT) == space
    ) {
      return index;
    }
    slot = (slot + 1) & mask;
  }
}

/** Enters what was hashed last; there must be room. Returns the entry. */
export function addEntry(length: u32, space: u32, series: u32): u32 {
  const index = load<u32>(ENTRY_COUNT);
  store<u32>(ENTRY_COUNT, index + 1);
  const entry = entryAt(index);
  store<u64>(entry, hash0);
  store<u64>(entry, hash1, 8);
  store<u32>(entry, length, ENTRY_LENGTH);
  store<u32>(entry, series, ENTRY_SERIES);
  store<u32>(entry, 0, ENTRY_NEXT);
  store<u32>(entry, space, ENTRY_TENANT);
  place(index, hash0, space);
  return index;
}

/** Takes the room of an entry for something else. Returns where that is. */
export function addRoom(): usize {
  const index = load<u32>(ENTRY_COUNT);
  store<u32>(ENTRY_COUNT, index + 1);
  const entry = entryAt(index);
  store<u32>(entry, OF_NONE, ENTRY_TENANT);
  return entry;
}

/** True when the entry is of what has the hash of what was hashed last. */
@inline
export function hasHash(entry: usize): bool {
  return load<u64>(entry) == hash0 && load<u64>(entry, 8) == hash1;
}

@inline
export function entryAt(index: u32): usize {
  return load<u32>(ENTRIES) + index * ENTRY_BYTES;
}

@inline
export function expectNext(index: u32): void {
  store<u32>(entryAt(load<u32>(LAST_ENTRY)), index, ENTRY_NEXT);
  store<u32>(LAST_ENTRY, index);
}

/** Where the search begins: apart for the tenants, whose labels are often the same. */
@inline
function slotOf(hash: u64, space: u32): u32 {
  return <u32>hash ^ (space * 0x9e3779b1);
}

function place(index: u32, hash: u64, space: u32): void {
  const mask = load<u32>(SLOT_MASK);
  const slots = load<u32>(SLOTS);
  let slot = slotOf(hash, space) & mask;
  while (load<u32>(slots + (slot << 2)) != 0) slot = (slot + 1) & mask;
  store<u32>(slots + (slot << 2), index);
}

