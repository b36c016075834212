//! Canonical JSON straight from a type's serialisation, without a tree in between: what hashes are made of.

use crate::data::spelled::{write_int, write_text};
use serde::Serialize;
use serde::ser::{
    Error as _, Impossible, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use std::cmp::Ordering;

/// Why something has no canonical form: a map with keys that are no texts, or a failing implementation.
pub type CanonicalError = serde_json::Error;

/// The canonical form of `value` (RFC 8785, integers beyond 2^53 as strings), without the outermost key `omit`.
///
/// The bytes are those that [`crate::data::value::write_canonical_json`] makes of the value's tree.
pub fn canonical_without<T: Serialize>(value: &T, omit: &'static str) -> Result<Vec<u8>, CanonicalError> {
    let mut writer = Writer::new(Some(omit));
    value.serialize(&mut writer)?;
    Ok(writer.out)
}

/// Writes canonical JSON into a buffer that can be used again.
pub(crate) struct Writer {
    out: Vec<u8>,
    /// The entries of the objects that are open, the outermost first.
    entries: Vec<Entry>,
    /// What an object's entries are brought in order with.
    unsorted: Vec<u8>,
    /// Taken by the outermost map.
    omit: Option<&'static str>,
    /// Taken by the outermost struct, of which it is the only field written, and without its name.
    only: Option<&'static str>,
}

impl Writer {
    pub(crate) fn new(omit: Option<&'static str>) -> Self {
        let out = Vec::with_capacity(1024);
        Self { out, entries: Vec::new(), unsorted: Vec::new(), omit, only: None }
    }

    /// What has been written.
    pub(crate) fn written(&self) -> &[u8] {
        &self.out
    }

    /// Begins anew.
    pub(crate) fn clear(&mut self) {
        self.out.clear();
    }

    /// Writes these bytes unchanged.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Writes a value.
    pub(crate) fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CanonicalError> {
        value.serialize(self)
    }

    /// Writes the value of one field of a struct.
    pub(crate) fn field_of<T: Serialize>(
        &mut self,
        value: &T,
        field: &'static str,
    ) -> Result<(), CanonicalError> {
        self.only = Some(field);
        value.serialize(self)
    }

    fn object(&mut self) -> ObjectWriter<'_> {
        let omit = self.omit.take();
        let only = self.only.take();
        if only.is_none() {
            self.out.push(b'{');
        }
        let (start, first_entry) = (self.out.len(), self.entries.len());
        ObjectWriter { start, first_entry, is_sorted: true, writer: self, omit, only, closings: 1 }
    }

    fn list(&mut self) -> ListWriter<'_> {
        self.omit = None;
        self.out.push(b'[');
        ListWriter { writer: self, is_first: true, closings: 0 }
    }

    /// Begins `{"variant":`, which the writer of the contents closes.
    fn variant(&mut self, variant: &str) {
        self.omit = None;
        self.out.push(b'{');
        write_text(variant, &mut self.out);
        self.out.push(b':');
    }
}

/// Writes the entries as they come and brings them in order at the end, if they are not.
pub(crate) struct ObjectWriter<'a> {
    writer: &'a mut Writer,
    start: usize,
    first_entry: usize,
    is_sorted: bool,
    omit: Option<&'static str>,
    only: Option<&'static str>,
    closings: usize,
}

/// One key with the place of its entry in the output, without the comma.
struct Entry {
    key: Key,
    from: usize,
    to: usize,
}

/// The key of an entry that has been written.
enum Key {
    /// The name of a field.
    Static(&'static str),
    /// So many bytes after the quotation mark with which the entry begins.
    Written(usize),
    /// It was written with escapes.
    Escaped(String),
}

impl Entry {
    fn key<'a>(&'a self, out: &'a [u8]) -> &'a str {
        match &self.key {
            Key::Static(key) => key,
            Key::Written(length) => str::from_utf8(&out[self.from + 1..][..*length]).unwrap_or_default(),
            Key::Escaped(key) => key,
        }
    }
}

impl ObjectWriter<'_> {
    fn field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), CanonicalError> {
        if let Some(only) = self.only {
            return if only == key { value.serialize(&mut *self.writer) } else { Ok(()) };
        }
        if self.omit == Some(key) {
            return Ok(());
        }
        let from = self.begin(key);
        self.end_of_key(from, Key::Static(key));
        value.serialize(&mut *self.writer)?;
        self.end_of_value();
        Ok(())
    }

    /// Writes a key and answers where its entry begins.
    fn begin(&mut self, key: &str) -> usize {
        if self.writer.entries.len() > self.first_entry {
            self.writer.out.push(b',');
        }
        let from = self.writer.out.len();
        write_text(key, &mut self.writer.out);
        from
    }

    fn end_of_key(&mut self, from: usize, key: Key) {
        let entry = Entry { key, from, to: from };
        let Writer { out, entries, .. } = &mut *self.writer;
        if self.is_sorted && entries.len() > self.first_entry {
            let last = &entries[entries.len() - 1];
            self.is_sorted = by_utf16(last.key(out), entry.key(out)) == Ordering::Less;
        }
        entries.push(entry);
        out.push(b':');
    }

    fn end_of_value(&mut self) {
        let to = self.writer.out.len();
        if let Some(entry) = self.writer.entries.last_mut() {
            entry.to = to;
        }
    }

    fn finish(self) {
        let Writer { out, entries, unsorted, .. } = &mut *self.writer;
        if self.only.is_some() {
            return;
        }
        if !self.is_sorted {
            let mine = &mut entries[self.first_entry..];
            mine.sort_by(|a, b| by_utf16(a.key(out), b.key(out)));
            unsorted.clear();
            unsorted.extend_from_slice(&out[self.start..]);
            out.truncate(self.start);
            for (at, entry) in mine.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(&unsorted[entry.from - self.start..entry.to - self.start]);
            }
        }
        entries.truncate(self.first_entry);
        out.extend(std::iter::repeat_n(b'}', self.closings));
    }
}

/// The order of RFC 8785, which differs from that of bytes only beyond the basic plane.
fn by_utf16(a: &str, b: &str) -> Ordering {
    let is_basic = |text: &str| text.bytes().all(|byte| byte < 0xF0);
    if is_basic(a) && is_basic(b) { a.cmp(b) } else { a.encode_utf16().cmp(b.encode_utf16()) }
}

pub(crate) struct ListWriter<'a> {
    writer: &'a mut Writer,
    is_first: bool,
    closings: usize,
}

impl ListWriter<'_> {
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CanonicalError> {
        if !std::mem::take(&mut self.is_first) {
            self.writer.out.push(b',');
        }
        value.serialize(&mut *self.writer)
    }

    fn finish(self) {
        self.writer.out.push(b']');
        self.writer.out.extend(std::iter::repeat_n(b'}', self.closings));
    }
}

impl<'a> Serializer for &'a mut Writer {
    type Ok = ();
    type Error = CanonicalError;
    type SerializeSeq = ListWriter<'a>;
    type SerializeTuple = ListWriter<'a>;
    type SerializeTupleStruct = ListWriter<'a>;
    type SerializeTupleVariant = ListWriter<'a>;
    type SerializeMap = MapWriter<'a>;
    type SerializeStruct = ObjectWriter<'a>;
    type SerializeStructVariant = ObjectWriter<'a>;

    fn serialize_bool(self, bool: bool) -> Result<(), CanonicalError> {
        self.out.extend_from_slice(if bool { b"true" } else { b"false" });
        Ok(())
    }

    fn serialize_i8(self, int: i8) -> Result<(), CanonicalError> {
        self.serialize_i64(int.into())
    }

    fn serialize_i16(self, int: i16) -> Result<(), CanonicalError> {
        self.serialize_i64(int.into())
    }

    fn serialize_i32(self, int: i32) -> Result<(), CanonicalError> {
        self.serialize_i64(int.into())
    }

    fn serialize_i64(self, int: i64) -> Result<(), CanonicalError> {
        write_int(int, &mut self.out);
        Ok(())
    }

    fn serialize_u8(self, int: u8) -> Result<(), CanonicalError> {
        self.serialize_i64(int.into())
    }

    fn serialize_u16(self, int: u16) -> Result<(), CanonicalError> {
        self.serialize_i64(int.into())
    }

    fn serialize_u32(self, int: u32) -> Result<(), CanonicalError> {
        self.serialize_i64(int.into())
    }

    fn serialize_u64(self, int: u64) -> Result<(), CanonicalError> {
        match i64::try_from(int) {
            Ok(int) => self.serialize_i64(int),
            Err(_) => self.serialize_str(&int.to_string()),
        }
    }

    fn serialize_f32(self, float: f32) -> Result<(), CanonicalError> {
        self.serialize_f64(float.into())
    }

    fn serialize_f64(self, float: f64) -> Result<(), CanonicalError> {
        if !float.is_finite() {
            return self.serialize_unit();
        }
        self.out.extend_from_slice(ryu_js::Buffer::new().format_finite(float).as_bytes());
        Ok(())
    }

    fn serialize_char(self, char: char) -> Result<(), CanonicalError> {
        self.serialize_str(char.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, text: &str) -> Result<(), CanonicalError> {
        write_text(text, &mut self.out);
        Ok(())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), CanonicalError> {
        self.collect_seq(bytes)
    }

    fn serialize_none(self) -> Result<(), CanonicalError> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), CanonicalError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), CanonicalError> {
        self.out.extend_from_slice(b"null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), CanonicalError> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), CanonicalError> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), CanonicalError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), CanonicalError> {
        self.variant(variant);
        value.serialize(&mut *self)?;
        self.out.push(b'}');
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<ListWriter<'a>, CanonicalError> {
        Ok(self.list())
    }

    fn serialize_tuple(self, _: usize) -> Result<ListWriter<'a>, CanonicalError> {
        Ok(self.list())
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<ListWriter<'a>, CanonicalError> {
        Ok(self.list())
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<ListWriter<'a>, CanonicalError> {
        self.variant(variant);
        Ok(ListWriter { closings: 1, ..self.list() })
    }

    fn serialize_map(self, _: Option<usize>) -> Result<MapWriter<'a>, CanonicalError> {
        Ok(MapWriter { object: self.object(), pending: None })
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<ObjectWriter<'a>, CanonicalError> {
        Ok(self.object())
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<ObjectWriter<'a>, CanonicalError> {
        self.variant(variant);
        Ok(ObjectWriter { closings: 2, ..self.object() })
    }
}

/// An object whose keys come one by one.
pub(crate) struct MapWriter<'a> {
    object: ObjectWriter<'a>,
    /// Whether the value that comes next is wanted.
    pending: Option<Pending>,
}

enum Pending {
    Wanted,
    Omitted,
}

impl SerializeMap for MapWriter<'_> {
    type Ok = ();
    type Error = CanonicalError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), CanonicalError> {
        self.pending = Some(key.serialize(KeyText { object: &mut self.object })?);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CanonicalError> {
        match self.pending.take().ok_or_else(|| CanonicalError::custom("a value without its key"))? {
            Pending::Omitted => Ok(()),
            Pending::Wanted => {
                value.serialize(&mut *self.object.writer)?;
                self.object.end_of_value();
                Ok(())
            }
        }
    }

    fn end(self) -> Result<(), CanonicalError> {
        self.object.finish();
        Ok(())
    }
}

macro_rules! lists {
    ($($part:ident $add:ident),*) => {$(
        impl $part for ListWriter<'_> {
            type Ok = ();
            type Error = CanonicalError;

            fn $add<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CanonicalError> {
                self.item(value)
            }

            fn end(self) -> Result<(), CanonicalError> {
                self.finish();
                Ok(())
            }
        }
    )*};
}

lists!(
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field
);

macro_rules! objects {
    ($($part:ident),*) => {$(
        impl $part for ObjectWriter<'_> {
            type Ok = ();
            type Error = CanonicalError;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), CanonicalError> {
                self.field(key, value)
            }

            fn end(self) -> Result<(), CanonicalError> {
                self.finish();
                Ok(())
            }
        }
    )*};
}

objects!(SerializeStruct, SerializeStructVariant);

/// Writes a key that is a text; everything else is refused.
struct KeyText<'a, 'w> {
    object: &'a mut ObjectWriter<'w>,
}

macro_rules! no_keys {
    ($($method:ident: $ty:ty),*) => {$(
        fn $method(self, _: $ty) -> Result<Pending, CanonicalError> {
            Err(no_text())
        }
    )*};
}

fn no_text() -> CanonicalError {
    CanonicalError::custom("the keys of a map have to be texts")
}

impl Serializer for KeyText<'_, '_> {
    type Ok = Pending;
    type Error = CanonicalError;
    type SerializeSeq = Impossible<Self::Ok, CanonicalError>;
    type SerializeTuple = Impossible<Self::Ok, CanonicalError>;
    type SerializeTupleStruct = Impossible<Self::Ok, CanonicalError>;
    type SerializeTupleVariant = Impossible<Self::Ok, CanonicalError>;
    type SerializeMap = Impossible<Self::Ok, CanonicalError>;
    type SerializeStruct = Impossible<Self::Ok, CanonicalError>;
    type SerializeStructVariant = Impossible<Self::Ok, CanonicalError>;

    no_keys!(
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_f32: f32,
        serialize_f64: f64, serialize_char: char, serialize_bytes: &[u8], serialize_unit_struct: &'static str
    );

    fn serialize_str(self, text: &str) -> Result<Self::Ok, CanonicalError> {
        if self.object.omit == Some(text) {
            return Ok(Pending::Omitted);
        }
        let from = self.object.begin(text);
        let is_verbatim = self.object.writer.out.len() - from == text.len() + 2;
        let key = if is_verbatim { Key::Written(text.len()) } else { Key::Escaped(text.to_owned()) };
        self.object.end_of_key(from, key);
        Ok(Pending::Wanted)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Self::Ok, CanonicalError> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Self::Ok, CanonicalError> {
        value.serialize(self)
    }

    fn serialize_none(self) -> Result<Self::Ok, CanonicalError> {
        Err(no_text())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<Self::Ok, CanonicalError> {
        Err(no_text())
    }

    fn serialize_unit(self) -> Result<Self::Ok, CanonicalError> {
        Err(no_text())
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<Self::Ok, CanonicalError> {
        Err(no_text())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, CanonicalError> {
        Err(no_text())
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, CanonicalError> {
        Err(no_text())
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, CanonicalError> {
        Err(no_text())
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, CanonicalError> {
        Err(no_text())
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, CanonicalError> {
        Err(no_text())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeStruct, CanonicalError> {
        Err(no_text())
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, CanonicalError> {
        Err(no_text())
    }
}
