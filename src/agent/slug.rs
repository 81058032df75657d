//! Names that Kubernetes and Helm accept, as werf makes them from any text: the text itself where it fits,
//! else a shortened form and a hash of the text.

/// What a name is for; each has its own rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A release: at most 53 characters.
    Release,
    /// A namespace: at most 63 characters.
    Namespace,
    /// An image tag: at most 128 characters, underscores and dots allowed.
    Tag,
}

/// The name for a text.
pub fn slugify(text: &str, purpose: Purpose) -> String {
    let length_max = match purpose {
        Purpose::Release => 53,
        Purpose::Namespace => 63,
        Purpose::Tag => 128,
    };
    if fits(text, purpose, length_max) {
        return text.to_owned();
    }
    let hash = format!("{:x}", murmur3(text.as_bytes()));
    let mut slug = String::new();
    for letter in text.chars() {
        let letter = letter.to_ascii_lowercase();
        if letter.is_ascii_alphanumeric() {
            slug.push(letter);
        } else if !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let kept: String = slug.trim_matches('-').chars().take(length_max - hash.len() - 1).collect();
    let kept = kept.trim_end_matches('-');
    if kept.is_empty() { hash } else { format!("{kept}-{hash}") }
}

fn fits(text: &str, purpose: Purpose, length_max: usize) -> bool {
    let middle = |letter: char| match purpose {
        Purpose::Tag => letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.'),
        Purpose::Release | Purpose::Namespace => {
            letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-'
        }
    };
    let edge = |letter: Option<char>| letter.is_some_and(|letter| middle(letter) && letter != '-' && letter != '.');
    text.len() <= length_max && text.chars().all(middle) && edge(text.chars().next()) && edge(text.chars().last())
}

/// `MurmurHash3`, 32 bits, seed 0: what werf shortens names by.
pub fn murmur3(bytes: &[u8]) -> u32 {
    let scramble = |word: u32| word.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let mut hash = 0_u32;
    let (words, tail) = bytes.as_chunks::<4>();
    for word in words {
        hash ^= scramble(u32::from_le_bytes(*word));
        hash = hash.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    if !tail.is_empty() {
        let word = tail.iter().rev().fold(0_u32, |word, byte| (word << 8) | u32::from(*byte));
        hash ^= scramble(word);
    }
    hash ^= u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_werf_makes_them() {
        assert_eq!(slugify("Demo App_production", Purpose::Release), "demo-app-production-826ab2d0");
        assert_eq!(slugify("demo-app-production", Purpose::Namespace), "demo-app-production");
        assert_eq!(slugify("a".repeat(60).as_str(), Purpose::Release).len(), 53);
        assert_eq!(slugify("--", Purpose::Release), format!("{:x}", murmur3(b"--")));
        assert_eq!(format!("{:x}", murmur3(b"web")), "1cb081a5");
    }
}
