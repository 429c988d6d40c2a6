//! The steps by which a hub's tables grow. One that has been released never changes: its hash is in every hub's file.

use sqlx::SqlStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// Each step's name and text, in their order.
const STEPS: [(&str, &str); 3] = [
    ("init", include_str!("../../migrations/0001_init.sql")),
    ("nonces", include_str!("../../migrations/0002_nonces.sql")),
    ("orders", include_str!("../../migrations/0003_orders.sql")),
];

/// Takes a file from whatever step it is at to the last one.
pub(super) fn migrator() -> Migrator {
    let step = |(version, (name, text)): (i64, (&'static str, &'static str))| {
        Migration::new(version, name.into(), MigrationType::Simple, SqlStr::from_static(text), false)
    };
    Migrator::with_migrations((1..).zip(STEPS).map(step).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::hex;

    #[test]
    fn every_file_of_the_folder_is_a_step() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
        let mut found: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read_to_string(entry.path()).unwrap()))
            .collect();
        found.sort();
        let steps: Vec<_> = (1..)
            .zip(STEPS)
            .map(|(version, (name, text))| (format!("{version:04}_{name}.sql"), text.to_owned()))
            .collect();
        assert_eq!(found, steps);
    }

    /// What is in the files of hubs that run, as `sqlx::migrate!` wrote it.
    #[test]
    fn no_released_step_changes() {
        let known: Vec<_> = migrator()
            .iter()
            .map(|step| (step.version, step.description.to_string(), hex::encode(&step.checksum)))
            .collect();
        let expected = [
            (
                1,
                "init",
                "d86bcdc3916b23f0356ed8cc85a02592ccc7e5ef8feb141602edd4b4e8c7b4177d764c91d086ff1f56b6325acf4a3f59",
            ),
            (
                2,
                "nonces",
                "2d284f92d6d15488e20b0ab3183a3491f27f25dc6c39e4bf0d089a6eb9cef9d17d07e48e16c837fdfc2e2bacf89a7f9b",
            ),
            (
                3,
                "orders",
                "bd7a77e745741ccace7f60bb7f26c81e23678b43990671d972a05d177c61cda4caa6ffad85ba00c61d62be1ed1ee3d48",
            ),
        ];
        assert_eq!(known, expected.map(|(version, name, hash)| (version, name.to_owned(), hash.to_owned())));
    }
}
