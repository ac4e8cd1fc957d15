//! Facts about built-in types that resolving functions and casts needs.

use pg_types::{Oid, typeinfo};

/// The array type of an element type; 0: none.
pub fn array_type(element: Oid) -> Oid {
    typeinfo::array_of(element)
}

/// The element type of an array type (int2vector and oidvector excluded); 0: not an array.
pub fn element_type(array: Oid) -> Oid {
    typeinfo::array_element(array)
}
