//! Form-encoded parameters with nested brackets: `line_items[0][price_data][currency]=eur`.
//!
//! They are kept flat, under the names that Stripe uses for them in error objects.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use url::form_urlencoded;

use crate::error::ApiError;

/// Free-form pairs that a caller attaches to an object.
pub(crate) type Metadata = BTreeMap<String, String>;

/// Stripe's limits on metadata (<https://docs.stripe.com/api/metadata>).
const METADATA_KEYS: usize = 50;
const METADATA_KEY_CHARACTERS: usize = 40;
const METADATA_VALUE_CHARACTERS: usize = 500;

/// The parameters of a request, by full name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Form {
    fields: BTreeMap<String, String>,
}

impl Form {
    /// Reads the query and the body of a request. `name[]` is numbered like `name[0]`.
    pub(crate) fn parse(query: &str, body: &[u8]) -> Self {
        let mut fields = BTreeMap::new();
        let pairs = form_urlencoded::parse(query.as_bytes()).chain(form_urlencoded::parse(body));
        for (name, value) in pairs {
            let name = match name.strip_suffix("[]") {
                Some(list) => (0..)
                    .map(|index: u32| format!("{list}[{index}]"))
                    .find(|numbered| !fields.contains_key(numbered))
                    .unwrap_or_default(),
                None => name.into_owned(),
            };
            fields.insert(name, value.into_owned());
        }
        Self { fields }
    }

    /// Whether the parameter is there, even if it is empty: that takes a value away.
    pub(crate) fn is_given(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    /// The value, unless it is empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let value = self.fields.get(name)?;
        (!value.is_empty()).then_some(value)
    }

    pub(crate) fn owned(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    pub(crate) fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.text(name).ok_or_else(|| ApiError::missing(name))
    }

    pub(crate) fn integer(&self, name: &str) -> Result<Option<i64>, ApiError> {
        self.text(name)
            .map(|text| text.parse().map_err(|_| ApiError::not_an_integer(name, text)))
            .transpose()
    }

    /// An amount in minor units that must not be zero or less.
    pub(crate) fn positive(&self, name: &str) -> Result<Option<i64>, ApiError> {
        match self.integer(name)? {
            Some(amount) if amount < 1 => {
                Err(ApiError::invalid(name, "This value must be greater than or equal to 1.")
                    .with_code("parameter_invalid_integer"))
            }
            other => Ok(other),
        }
    }

    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.text(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(ApiError::invalid(name, format!("Invalid boolean: {other}"))),
        }
    }

    /// An absolute address.
    pub(crate) fn url(&self, name: &str) -> Result<Option<String>, ApiError> {
        match self.text(name) {
            Some(text) if url::Url::parse(text).is_err() => {
                let message = "Invalid URL: An explicit scheme (such as https) must be provided.";
                Err(ApiError::invalid(name, message).with_code("url_invalid"))
            }
            other => Ok(other.map(str::to_owned)),
        }
    }

    /// The values of `name[0]`, `name[1]`, ….
    pub(crate) fn list(&self, name: &str) -> Vec<&str> {
        (0..)
            .map_while(|index: u32| self.fields.get(&format!("{name}[{index}]")))
            .map(String::as_str)
            .collect()
    }

    /// Whether anything is given inside `name[…]`.
    pub(crate) fn has_inside(&self, name: &str) -> bool {
        self.inside(name).next().is_some()
    }

    /// The names and values inside `name[…]`: for `metadata`, `metadata[a]=1` gives `("a", "1")`.
    pub(crate) fn inside(&self, name: &str) -> impl Iterator<Item = (&str, &str)> {
        let prefix = format!("{name}[");
        self.fields
            .range(prefix.clone()..)
            .take_while(move |(key, _)| key.starts_with(&prefix))
            .filter_map(move |(key, value)| {
                let inner = key.get(name.len() + 1..)?.split_once(']')?;
                Some((inner.0, value.as_str()))
            })
    }

    /// Applies `name[key]=value` to metadata, where an empty value takes the key out.
    pub(crate) fn merge_metadata(&self, name: &str, into: &mut Metadata) -> Result<(), ApiError> {
        let mut merged = into.clone();
        if self.fields.get(name).is_some_and(String::is_empty) {
            merged.clear();
        }
        for (key, value) in self.inside(name) {
            if value.is_empty() {
                merged.remove(key);
                continue;
            }
            let too_long = key.chars().count() > METADATA_KEY_CHARACTERS
                || value.chars().count() > METADATA_VALUE_CHARACTERS;
            if too_long {
                let message = format!(
                    "Metadata keys can be up to {METADATA_KEY_CHARACTERS} characters long and \
                     values up to {METADATA_VALUE_CHARACTERS}."
                );
                return Err(ApiError::invalid(&format!("{name}[{key}]"), message));
            }
            merged.insert(key.to_owned(), value.to_owned());
        }
        if merged.len() > METADATA_KEYS {
            let message = format!("You can have up to {METADATA_KEYS} metadata keys.");
            return Err(ApiError::invalid(name, message));
        }
        *into = merged;
        Ok(())
    }

    pub(crate) fn metadata(&self, name: &str) -> Result<Metadata, ApiError> {
        let mut metadata = Metadata::new();
        self.merge_metadata(name, &mut metadata)?;
        Ok(metadata)
    }

    /// The same for the same parameters, in whatever order they were sent.
    pub(crate) fn fingerprint(&self, method: &str, path: &str) -> String {
        let mut hash = Sha256::new();
        let request = [method, path].into_iter();
        let fields = self.fields.iter().flat_map(|(k, v)| [k.as_str(), v.as_str()]);
        for part in request.chain(fields) {
            hash.update(part.len().to_be_bytes());
            hash.update(part.as_bytes());
        }
        hex::encode(hash.finalize())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn nested_names_and_both_kinds_of_lists() {
        let form = Form::parse(
            "limit=3&expand[]=a&expand[]=b",
            b"items%5B0%5D%5Bprice%5D%5Bcurrency%5D=eur&metadata[k]=v%20w&types[0]=x",
        );
        assert_eq!(form.integer("limit").unwrap(), Some(3));
        assert_eq!(form.list("expand"), ["a", "b"]);
        assert_eq!(form.list("types"), ["x"]);
        assert_eq!(form.text("items[0][price][currency]"), Some("eur"));
        assert_eq!(form.metadata("metadata").unwrap()["k"], "v w");
        assert!(form.has_inside("items[0]") && !form.has_inside("items[1]"));
    }

    #[test]
    fn an_empty_value_takes_a_metadata_key_out() {
        let mut metadata = Metadata::from([("a".into(), "1".into()), ("b".into(), "2".into())]);
        let form = Form::parse("", b"metadata[a]=&metadata[c]=3");
        form.merge_metadata("metadata", &mut metadata).unwrap();
        assert_eq!(metadata, Metadata::from([("b".into(), "2".into()), ("c".into(), "3".into())]));
    }

    #[test]
    fn the_fingerprint_ignores_order_but_nothing_else() {
        let print = |body: &[u8]| Form::parse("", body).fingerprint("POST", "/v1/refunds");
        assert_eq!(print(b"a=1&b=2"), print(b"b=2&a=1"));
        assert_ne!(print(b"a=1&b=2"), print(b"a=12&b="));
    }
}
