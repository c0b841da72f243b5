//! Who shares the partitions of a store.

use std::time::Duration;

use posthaste_store::Store;

use crate::{
    backend::Backend,
    reckoning::{all_final, reckon},
    world::World,
};

on_every_store!(who_drains_is_no_member_any_more);

/// Who is there, as far as the store knows.
async fn members(world: &World, store: &dyn Store) -> Vec<String> {
    // Whoever has no time left is none.
    store.attend("observer", world.clock.now(), Duration::ZERO).await.unwrap()
}

/// Whether it has something to do or not: for a member that is gone the others would leave partitions lying.
async fn who_drains_is_no_member_any_more(backend: Backend) {
    let mut world = World::new(backend).await;
    let endpoint = world.endpoint(&[1]).await;
    // Long enough that nobody is forgotten by itself.
    let patient = |settings: &mut posthaste_dispatch::DispatchSettings| {
        settings.ownership = Duration::from_secs(20);
    };
    for round in 0..5 {
        let process = world.start_with(&format!("process {round}"), patient).await;
        world.accept(&format!("evt_{round}"), &[&endpoint]).await;
        world.until(|seen| seen.delivered() == round + 1).await;
        assert_eq!(members(&world, world.store()).await, [process.name.as_str()]);
        process.drain().await;
        assert!(members(&world, world.store()).await.is_empty(), "it did not say that it leaves");
    }
    all_final(&reckon(&world).await);
}
